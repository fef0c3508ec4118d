"""Is the generator good enough to test a classifier with? Against real images, by an independent judge (3.1)."""
