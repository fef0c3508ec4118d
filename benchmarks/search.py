"""What the search for true failures takes by the clock, beside the seconds that it counts.

For each classifier of the default run, on one thread: walks in W from random starts, with the params of the run.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from failure_atlas.judges.failures import AUDITOR
from failure_atlas.search.metering import FLOPS
from failure_atlas.world.show import JUDGE
from stages.common.params import load_section
from stages.find_failures.attempts import choose_starts, search
from stages.find_failures.examination import examine
from stages.find_failures.inputs import open_search
from stages.find_failures.params import FindFailuresParams

DATA = Path("data")


def main(
    starts: Annotated[int, typer.Option(help="Random starts of each classifier.")] = 100,
    classifier: Annotated[list[str] | None, typer.Option(help="Name of one under test; once for each.")] = None,
) -> None:
    """Tell clocked and counted seconds, and distinct failures a second of which judge and auditor are sure."""
    torch.set_num_threads(1)
    section = load_section(Path("params.yaml"), FindFailuresParams, "find_failures")
    section = section.model_copy(update={"starts": starts})
    judges = {name: DATA / "train_judges" / f"{name}.safetensors" for name in (JUDGE, AUDITOR)}
    for name in classifier or ["clean", "corrupted"]:
        opened = open_search(
            DATA / "train_stylegan2/generator.safetensors", DATA / f"train_classifiers/{name}/classifier.safetensors",
            judges, DATA / "corrupt_images/images.zarr", DATA / "sample_populations", DATA / "invert_images", section,
        )  # fmt: skip
        chosen = choose_starts(opened, section)
        begun = time.process_time()
        _, attempt = search(opened, chosen, section)
        clocked = time.process_time() - begun
        table = examine(opened, attempt, section).table
        sure = int(np.count_nonzero(table["distinct"] & table["auditor_confirms"]))
        print(
            f"{name}: {len(table)} of {attempt.tried} walks end in a true failure, {sure} distinct and sure; "
            f"clocked {clocked:.1f} s ({sure / clocked:.2f} a second), counted {attempt.cpu_seconds:.1f} s "
            f"({sure / attempt.cpu_seconds:.2f}); {attempt.cpu_seconds * FLOPS / clocked:.3g} FLOP a second"
        )


if __name__ == "__main__":
    typer.run(main)
