"""What a model costs, and what of it is spent for nothing."""
