"""Peak memory of sampling and of ranking populations of several sizes, each in a process of its own.

It needs the networks of the default run (`make repro`). Ranking takes as long as the gradients of that many samples.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml

from benchmarks import _turns as turns
from benchmarks._turns import PARAMS, ParamsOption
from failure_atlas.core.files import require

GENERATOR = Path("data/train_stylegan2/generator.safetensors")
CLASSIFIER = Path("data/train_classifiers/corrupted/classifier.safetensors")
IMAGES = Path("data/corrupt_images/images.zarr")
SIZES = [10_000, 50_000]


def main(
    samples: Annotated[list[int] | None, typer.Option(help="Size of a population; once for each.")] = None,
    params: ParamsOption = PARAMS,
) -> None:
    """Run sample_populations and rank_dimensions on populations of some sizes and tell what each took."""
    generator, classifier = require(GENERATOR, "train_stylegan2"), require(CLASSIFIER, "train_classifiers")
    rows = []
    for size in samples or SIZES:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            content = yaml.safe_load(params.read_text(encoding="utf-8"))
            content["sample_populations"]["samples"] = size
            (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
            common = ["--generator", generator, "--classifier", classifier, "--params", folder / "params.yaml"]
            sampled = folder / "population"
            own: dict[str, list[object]] = {
                "sample_populations": ["--images", IMAGES, "--out", sampled],
                "rank_dimensions": ["--population", sampled, "--out", folder / "ranking"],
            }
            rows += [[f"{size:,}", name, *_run(name, [*common, *more])] for name, more in own.items()]
    turns.print_table("Peak memory of a stage", ["samples", "stage", "peak MB", "seconds"], rows, [])


def _run(stage: str, options: list[object]) -> list[str]:
    """Peak memory in MB (1e6 bytes) and seconds of one stage."""
    began = time.monotonic()
    command = [sys.executable, "-m", f"stages.{stage}", *map(str, options)]
    _, status, used = os.wait4(os.posix_spawn(sys.executable, command, os.environ), 0)
    if status:
        raise typer.Exit(1)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes here
    return [f"{used.ru_maxrss * unit / 1e6:,.0f}", f"{time.monotonic() - began:,.0f}"]


if __name__ == "__main__":
    turns.run_benchmark(main)
