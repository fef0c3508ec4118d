"""Accuracy against distance and shift (2.4, 3.3)."""
