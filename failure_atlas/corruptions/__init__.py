"""Corruptions by name, at five severities, and recipes of them."""
