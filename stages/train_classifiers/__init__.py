"""The classifiers under test, and the independent judge (2.1.1, 3.1)."""
