"""What an image looks like: one vocabulary, measured, calibrated, and examined on changes of known amount."""
