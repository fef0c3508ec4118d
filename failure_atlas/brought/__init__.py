"""Classifiers made elsewhere: loaded, adapted, asked."""
