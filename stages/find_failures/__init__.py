"""True failures inside the population, from many starts, beside the walks that people would take instead."""
