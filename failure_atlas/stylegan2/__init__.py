"""StyleGAN2: the generator, its discriminator, what trains them."""
