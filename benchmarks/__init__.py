"""Measurements that docs quote, run by `make bench`; apart from the tests, because a busy machine would fail them."""
