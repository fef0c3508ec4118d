"""A classifier behind a URL goes through later stages: ranked by differences, walked to the decision boundary."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.brought import http_predictor
from failure_atlas.classifiers.networks import load_classifier
from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.generator import load_generator
from stages.rank_dimensions.__main__ import main as rank_dimensions
from stages.walk_corner_cases.__main__ import main as walk_corner_cases
from tests import yaml12 as yaml
from tests.stages.bring_classifiers.serving import serving

CPU = torch.device("cpu")
SECTIONS = {
    "rank_dimensions": {
        "seed": 1, "batch_size": 100, "split_halves": 4, "top_k": 2, "histogram_bins": 10,
        "finite_difference_samples": 40, "finite_difference_step_std": 0.05,
    },
    "walk_corner_cases": {
        "scope": "class", "dimensions": 2, "max_shift_std": 20.0, "grid_step_std": 1.0, "min_effect": 0.001,
        "only_true_failures": False, "start_samples": [], "figure_classes": [0], "batch_size": 64,
    },
}  # fmt: skip


def test_a_server_is_ranked_and_walked_as_the_network_behind_it(
    keep, tiny_generator, tiny_classifier, tiny_population, tiny_black_box_ranking, tiny_judge, tiny_names, monkeypatch
):
    network, asked = load_classifier(tiny_classifier, CPU), []

    def predict(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        with torch.no_grad():
            return network(torch.from_numpy(images)).double().softmax(1).numpy()

    Path("params.yaml").write_text(yaml.safe_dump(SECTIONS), encoding="utf-8")
    with serving(predict) as server:
        url = f"http://127.0.0.1:{server.server_port}/predict"
        path = keep({"url": url, "outputs": "probabilities", "images_per_request": 64})
        rank_dimensions(tiny_generator, path, tiny_population, Path("ranking"))
        walk_corner_cases(tiny_generator, path, tiny_judge, tiny_population, Path("ranking"), tiny_names, Path("walks"))
    assert 1 < max(asked) <= 64
    metrics = json.loads(Path("ranking/metrics.json").read_text(encoding="utf-8"))
    assert metrics["score"] == "finite_difference"
    # The same network as a function of NumPy arrays.
    ranking, expected = (pd.read_csv(folder / "ranking.csv") for folder in (Path("ranking"), tiny_black_box_ranking))
    pd.testing.assert_frame_equal(ranking, expected)

    cases = pd.read_csv("walks/corner_cases.csv", dtype={"class": str})
    reached = cases["reached"].to_numpy(bool)
    assert reached.sum() > 5, "the tiny networks must give crossings, else this tests nothing"
    ends = torch.from_numpy(read_array(Path("walks/corner_cases.zarr"), "s")[reached])
    with torch.no_grad():
        softmax = network(load_generator(tiny_generator, CPU).synthesize(ends)).softmax(1).numpy()
    true_class = cases["class"].astype(int).to_numpy()[reached]
    np.testing.assert_allclose(softmax[np.arange(len(ends)), true_class], 0.5, atol=1.2e-3)

    monkeypatch.setattr(http_predictor, "PAUSE_SECONDS", 0.0)
    with pytest.raises(StageError, match=rf"^{url}: not reached in 3 tries"):
        rank_dimensions(tiny_generator, path, tiny_population, Path("again"))
