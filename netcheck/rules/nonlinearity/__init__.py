"""Rules about nonlinearity."""
