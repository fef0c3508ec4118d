"""Samples moved along several dimensions together, and what classifier and judge see in them (paper, 2.4)."""
