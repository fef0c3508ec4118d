"""Populations of z, w, s, image and label from the generator, and what each space separates (2.1.2, fig. 3)."""
