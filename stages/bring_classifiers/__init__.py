"""Classifiers that a person brings, made usable like those that are trained here."""
