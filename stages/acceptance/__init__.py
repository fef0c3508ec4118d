"""Stated criteria over the metrics of a run, each with a verdict: pass, fail or not assessable."""
