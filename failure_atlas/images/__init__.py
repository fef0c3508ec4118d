"""Sets of images: published ones, a user's own, their frame."""
