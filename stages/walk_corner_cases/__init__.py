"""How far from failing: walks along one style dimension until the classifier is in doubt (Le Coz et al. 2022, 2.3)."""
