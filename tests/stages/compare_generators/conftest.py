"""Result folders of name_directions and rank_dimensions of made-up generators, in the form that these stages leave."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.files import write_csv

LAYERS = ["conv0"] * 4 + ["torgb0"] * 2 + ["conv1"] * 4
Made = tuple[Path, Path]


@pytest.fixture
def make_view(tmp_path: Path) -> Callable[..., Made]:
    """A function that writes both folders and returns them: (name_directions, rank_dimensions).

    influence: |score * std| of ten dimensions in three layers.  names: of the leading ones.  others: of dimensions that
    only class 7 ranks high.  accuracy: of 100 samples.
    """

    def make(
        name: str, influence: Sequence[float], names: Sequence[str], others: Sequence[str] = (), accuracy: float = 0.9
    ) -> Made:
        size = np.asarray(influence, float)
        order = np.argsort(-size, kind="stable")
        std = np.linspace(1, 2, len(size))
        score = -size / std
        block = {
            "rank": np.arange(1, len(size) + 1), "dimension": order, "layer": np.array(LAYERS)[order], "kind": "conv",
            "score": score[order], "standard_error": 0.0, "std": std[order], "direction": 1,
        }  # fmt: skip
        ranking = pd.concat([pd.DataFrame({"scope": scope, **block}) for scope in ("global", "7")])
        write_csv(tmp_path / f"{name}_ranked" / "ranking.csv", ranking)
        well = np.arange(100) < 100 * accuracy
        write_arrays(tmp_path / f"{name}_ranked" / "predictions.zarr", {"well": (well, ("sample",))})
        rows = [("global", rank + 1, order[rank], word) for rank, word in enumerate(names)]
        rows += [("7", rank + 1, order[len(names) + rank], word) for rank, word in enumerate(others)]
        rows += [("7", 9, order[0], names[0])]  # a dimension that stands in both scopes counts once
        table = pd.DataFrame(rows, columns=["scope", "rank", "dimension", "name"])
        write_csv(tmp_path / f"{name}_named" / "directions.csv", table)
        return tmp_path / f"{name}_named", tmp_path / f"{name}_ranked"

    return make
