"""What images look like, measured in stated units with stated errors: the vocabulary of all that is said of images."""
