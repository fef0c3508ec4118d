"""Classifiers made elsewhere: adapted to the images, checked, measured and pinned."""
