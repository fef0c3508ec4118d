"""The library: what stages compute and flows check again, without DVC, Prefect or YAML.

What a notebook wants can be imported from here; it is loaded when it is first asked for.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Differences": "world.gradients",
    "Steering": "search.nearest",
    "World": "world.show",
    "differentiate": "world.gradients",
    "draw_halves": "statistics.agreement",
    "draw_seeds": "stylegan2.noise",
    "draw_styles": "populations.sampling",
    "draw_walk": "drawing.walk",
    "enter_latents": "search.domain",
    "fit_domain": "search.domain",
    "invert": "inversion.invert",
    "load_classifier": "brought.checkpoint",
    "load_generator": "brought.generator",
    "load_judge": "judges.ensemble",
    "load_released_generator": "stylegan2.state",
    "load_released_judge": "judges.ensemble",
    "log_odds": "world.gradients",
    "log_probability": "world.gradients",
    "logit": "world.gradients",
    "order_dimensions": "statistics.agreement",
    "score_population": "ranking.scores",
    "softmax": "world.gradients",
    "trace_walk": "walks.single",
    "walk_to_failures": "search.nearest",
}  # name -> module


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
