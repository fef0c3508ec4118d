"""Populations of generated images: z, w, s, image, label, outcome."""
