"""Does what generated images say of a classifier hold of real ones?"""
