"""Rules about what calls of a model do beside giving a result."""
