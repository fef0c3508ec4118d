"""The one page that a person reads: verdicts, failures, distances, comparisons, and what the numbers rest on."""
