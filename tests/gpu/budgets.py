"""Seconds for each section of tests/gpu/measure.py, in their order: the most important first. Imports no torch."""

BUDGETS: dict[str, float] = {
    "two layers": 25.0,
    "devices": 40.0,
    "tests": 80.0,
    "out of memory": 20.0,
    "memory": 45.0,
    "too large": 10.0,
    "driver": 10.0,
    "kinds of models": 50.0,
    "gains": 60.0,
}
