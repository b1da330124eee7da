"""Rules on the training step: how a file trains its models, and how a loss and an optimizer fit a model."""
