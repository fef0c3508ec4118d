"""Stage find_modes: on what kind of input a classifier fails, in words, on generated and on real images."""
