"""A snapshot changed: its discriminator widened, so that training goes on, or slimmed for a release."""

from pathlib import Path
from typing import Annotated

import torch
import typer

from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.stylegan2.state import KIND, MOMENTS, load_discriminator
from failure_atlas.stylegan2.widening import widen_discriminator, widen_moments
from stages.common.command import run_stage

MOMENTS_OF = ("generator_optimizer.", "discriminator_optimizer.", "critic_optimizer.")


def main(
    snapshot: Annotated[Path, typer.Argument(help="The snapshot.safetensors to change.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    channels: Annotated[
        list[int] | None, typer.Option(help="Widen the discriminator: width at 4, 8, 16, ... px, once for each.")
    ] = None,
    slim: Annotated[bool, typer.Option("--slim", help="Leave out the moments of Adam.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the new weights.")] = 1,
) -> None:
    """Widen the discriminator of a snapshot, or leave its optimisers' moments out; all else stays as it is.

    Go on from a widened one with `train_stylegan2.resume` and the same `discriminator_channels` in params.yaml. A
    training that goes on from a slim one starts with fresh moments, as the first step of any training does.
    """
    tensors, description = load_tensors(snapshot, KIND)
    if channels:
        wide = widen_discriminator(
            load_discriminator(snapshot, torch.device("cpu")), tuple(channels), torch.Generator().manual_seed(seed)
        )
        description |= {"discriminator": wide.architecture.describe()}
        tensors |= {f"discriminator.{name}": tensor for name, tensor in wide.state_dict().items()}
        for name, parameter in wide.named_parameters():
            keys = {key: f"discriminator_optimizer.{name}.{key}" for key in MOMENTS}
            if keys["step"] in tensors:
                moments = {key: tensors[held] for key, held in keys.items()}
                widened = widen_moments(name, moments, parameter)
                tensors |= {keys[key]: moment for key, moment in widened.items()}
    if slim:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(MOMENTS_OF)}
    save_tensors(out, tensors, description)


if __name__ == "__main__":
    run_stage(main, "train_stylegan2.snapshots")
