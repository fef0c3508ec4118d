"""Estimates, intervals and moments."""
