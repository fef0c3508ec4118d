"""Do two generators of one world tell the same story about a classifier? Compared in names and in layers."""
