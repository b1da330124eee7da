"""Rules about wiring."""
