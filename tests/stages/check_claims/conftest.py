"""Result folders with known numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.stages.check_claims.known_results import build_areas, build_metrics


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the folders, changed by `edit(metrics)`, and returns the folder that holds them."""

    def write(edit: Callable[[dict[str, Any]], None] = lambda _: None, areas: pd.DataFrame | None = None) -> Path:
        metrics = json.loads(json.dumps(build_metrics()))
        edit(metrics)
        for folder, content in metrics.items():
            (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / folder / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
        table = build_areas() if areas is None else areas
        table.to_csv(tmp_path / "in" / "curves" / "areas.csv", index=False)
        return tmp_path / "in"

    return write
