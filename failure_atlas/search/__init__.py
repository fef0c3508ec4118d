"""True failures inside the population: where the classifier is wrong and the label still holds."""
