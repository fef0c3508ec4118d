"""What moving an influential style dimension does to the image, measured and put into words."""
