"""Rules about residual."""
