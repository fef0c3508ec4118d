"""Ensembles that say what an image shows, calibrated, and their verdicts."""
