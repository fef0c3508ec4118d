"""Where a path through S crosses a level of the true class's score (2.3)."""
