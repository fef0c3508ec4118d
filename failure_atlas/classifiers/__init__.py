"""Classifiers made here: networks, training, evaluation."""
