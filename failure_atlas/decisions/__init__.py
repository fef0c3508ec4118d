"""Claims and acceptance criteria, decided from metrics with their intervals."""
