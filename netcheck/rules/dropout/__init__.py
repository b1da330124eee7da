"""Rules about dropout."""
