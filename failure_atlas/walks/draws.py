"""Figures of walks whose starts were shown under several draws of noise."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def average_draws(figures: Sequence[Any]) -> Any:
    """The same figures of the same cases under several draws of noise, as one: means of estimates and of their bounds.

    figures: of each draw a tree of mappings; where one holds `low` and `high` it is an estimate. Draws share their
    cases, so an interval stays as wide as that of one draw, and n is one draw's: on the wide side. An estimate that no
    case of a draw tells leaves the word to the other draws. Other whole numbers are counts, and add up; other numbers
    are means.
    """
    first = figures[0]
    if isinstance(first, Mapping):
        if {"low", "high"} <= first.keys():
            told = [each for each in figures if each["n"]] or [first]
            means = {key: float(np.mean([each[key] for each in told])) for key in first if key != "n"}
            return means | {"n": round(float(np.mean([each["n"] for each in told])))}
        return {key: average_draws([each[key] for each in figures]) for key in first}
    numbers = [each for each in figures if not math.isnan(each)] or [first]
    return sum(numbers) if isinstance(first, int) else float(np.mean(numbers))
