"""The data set: where it comes from, how it is checked, its 32 px frame (3.1)."""
