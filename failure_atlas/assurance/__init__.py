"""The case for a classifier: hazards, the argument over them as GSN, its picture, and which clause it supports."""
