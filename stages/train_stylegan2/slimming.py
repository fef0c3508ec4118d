"""A snapshot without the optimisers' moments: about a third smaller, for a release that few will train on."""

from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.stylegan2.state import KIND
from stages.common.command import run_stage

MOMENTS_OF = ("generator_optimizer.", "discriminator_optimizer.", "critic_optimizer.")


def main(
    snapshot: Annotated[Path, typer.Argument(help="The snapshot.safetensors to slim.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Leave the moments of Adam out of a snapshot; networks, average and log stay as they are.

    A training that goes on from the result starts with fresh moments, as the first step of any training does.
    """
    tensors, description = load_tensors(snapshot, KIND)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(MOMENTS_OF)}
    save_tensors(out, kept, description)


if __name__ == "__main__":
    run_stage(main, "train_stylegan2.slimming")
