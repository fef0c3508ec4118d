"""Training again with what was found: mixtures of images, and gains with their intervals."""
