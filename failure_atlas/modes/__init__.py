"""Kinds of input on which a classifier fails, found on one half of the samples and estimated on the other."""
