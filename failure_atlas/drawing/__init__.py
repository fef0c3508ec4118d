"""How figures look; no training depends on it."""
