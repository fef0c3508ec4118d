"""Real test images in the generator's world, so that what is found on generated ones can be held against them."""
