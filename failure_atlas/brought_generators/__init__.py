"""Generators made elsewhere: read without running what their files carry, converted, and proven."""
