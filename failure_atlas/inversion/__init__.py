"""Real images in the generator's world: their latents, and whether what is found there holds of them."""
