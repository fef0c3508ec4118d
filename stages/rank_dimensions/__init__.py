"""Which style dimensions move a classifier's true-class score, globally and per class (Le Coz et al. 2022, 2.2)."""
