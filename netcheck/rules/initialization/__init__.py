"""Rules about initialization."""
