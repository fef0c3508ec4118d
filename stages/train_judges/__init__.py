"""Independent judges of what an image shows: calibrated ensembles that are never among the classifiers under test."""
