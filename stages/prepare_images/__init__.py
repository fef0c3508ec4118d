"""The data set: where it comes from, how it is checked, its square frame (3.1)."""
