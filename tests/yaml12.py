"""YAML as DVC and the stages read it, under the names of PyYAML's functions."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.common.params import format_params


def safe_load(text: str | Path) -> Any:
    """What YAML 1.2 text says."""
    return YAML(typ="safe").load(text)


def safe_dump(held: Any, sort_keys: bool = False) -> str:
    """Text that says it, in the order in which it was held."""
    assert not sort_keys
    return format_params(held)
