"""Accuracy against distance from the well-classified centre, and against shift along the top dimensions (2.4, 3.3)."""
