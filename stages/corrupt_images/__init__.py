"""The corrupted data set: blur, noise, and the half that stays clean (3.1)."""
