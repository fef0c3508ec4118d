"""How much each style dimension matters to the true class (2.2)."""
