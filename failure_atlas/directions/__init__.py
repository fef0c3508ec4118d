"""What a direction does to an image, measured and named."""
