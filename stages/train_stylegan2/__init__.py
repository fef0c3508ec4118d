"""Class-conditional StyleGAN2-ADA: the generator of the classifier's world (Le Coz et al. 2022, 2.1.2)."""
