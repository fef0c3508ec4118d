"""Peak memory and processor time of sampling and ranking against the size of the population.

The two stages run as DVC would run them, each in a process of its own, with a tiny untrained generator and classifier:
what grows with the number of samples is the same for large ones. `--sizes 1000000` takes 16 minutes of one core.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from ruamel.yaml import YAML

from benchmarks import PARAMS, ParamsOption, print_table, run_benchmark
from failure_atlas.classifiers.networks import Classifier, save_classifier
from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, save_generator
from stages.common.artefacts.images import named_arrays

CLASSES = 10
KIB_PER_MIB = 1024
NOTES = [
    "MiB: the most that the process held in memory at a time",
    "CPU s: processor time of all its threads, which other work on the machine hardly changes",
]
NETWORKS = "--generator generator.safetensors --classifier classifier.safetensors --params params.yaml"
STAGES = {
    "sample_populations": "--images images.zarr --out population",
    "rank_dimensions": "--population population --out ranking",
}


def main(
    params: ParamsOption = PARAMS,
    sizes: Annotated[str, typer.Option(help="Numbers of samples, with commas between them.")] = "2000,20000,100000",
) -> None:
    """Run both stages at each size and tell what they took."""
    rows = []
    for samples in map(int, sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            make_inputs(Path(folder), params, samples)
            took = [run_stage(stage, Path(folder)) for stage in STAGES]
        rows.append([f"{samples:,}", *(f"{value:,.0f}" for each in took for value in each)])
    columns = ("samples", *(f"{stage.split('_')[0]}: {unit}" for stage in STAGES for unit in ("MiB", "CPU s")))
    print_table("sampling and ranking", columns, rows, NOTES)


def make_inputs(folder: Path, params: Path, samples: int) -> None:
    """Networks, images for the names of their classes, and params as they stand with another number of samples."""
    torch.manual_seed(1)
    architecture = GeneratorArchitecture(
        z_dim=8, w_dim=8, num_classes=CLASSES, mapping_layers=2, channels=(8, 8, 8, 4), image_channels=1,
        resampling="bilinear",
    )  # fmt: skip
    save_generator(folder / "generator.safetensors", Generator(architecture))
    save_classifier(folder / "classifier.safetensors", Classifier("plain", CLASSES, width=8))
    images = named_arrays("test", ImageSet(np.zeros((CLASSES, 1, 32, 32), np.uint8), np.arange(CLASSES)))
    write_arrays(folder / "images.zarr", images, {"class_names": [str(label) for label in range(CLASSES)]})
    held = YAML(typ="safe").load(params.read_text(encoding="utf-8"))
    held["sample_populations"]["samples"] = samples
    YAML(typ="safe").dump({stage: held[stage] for stage in STAGES}, folder / "params.yaml")


def run_stage(stage: str, folder: Path) -> tuple[float, float]:
    """The most MiB that one stage held at a time, and its seconds of processor time; StageError if it fails."""
    command = [sys.executable, "-m", f"stages.{stage}", *f"{NETWORKS} {STAGES[stage]}".split()]
    with (folder / "log").open("w") as log:
        code = os.environ | {"PYTHONPATH": str(Path.cwd())}
        process = subprocess.Popen(command, cwd=folder, env=code, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise StageError(f"{stage}: {(folder / 'log').read_text().strip().splitlines()[-1]}")
    return used.ru_maxrss / KIB_PER_MIB, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_benchmark(main)
