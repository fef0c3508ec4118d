"""Command of the stage `train_stylegan2`."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.files import remove, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.stylegan2.generator import save_generator
from failure_atlas.stylegan2.state import TrainingState, save_state
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.session import (
    Session,
    count_feature_images,
    count_images,
    prepare_critic,
    run_session,
    start_state,
)
from stages.train_stylegan2.workers import launched_rank


def main(
    images: Annotated[Path, typer.Option(help="Zarr store of corrupted images to learn from.")],
    out: OutOption,
    resume_root: Annotated[
        Path, typer.Option(help="Folder for snapshots of unfinished trainings; a killed run goes on from there.")
    ] = Path(".resume/train_stylegan2"),
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Train the class-conditional StyleGAN2 on the corrupted images (Le Coz et al. 2022, 2.1.2).

    Uses one process per core (FAILURE_ATLAS_PROCESSES overrides), or those that torchrun starts, one per GPU. Killed at
    any moment, the next run goes on from the last snapshot and ends with the same bytes.
    """
    section = load_section(params, TrainStylegan2Params, "train_stylegan2")
    session = Session(read_images(images, "train"), read_class_names(images), section, resume_root, choose_device())
    state = start_state(session)
    if launched_rank():  # of torchrun's processes, the first one shows and writes
        run_session(session, state)
        return
    if to_show := count_feature_images(session, state):
        with Progress("learning features", to_show, "img") as learning:
            prepare_critic(session, state, learning.advance)
    with Progress("train_stylegan2", count_images(session, state), "img", done=state.images_seen) as progress:

        def show(state: TrainingState) -> None:
            row = state.log[-1]
            losses = f"D {row['discriminator_loss']:.2f} G {row['generator_loss']:.2f}"
            progress.advance(
                state.images_seen - progress.done, f"{losses} augmentation p {state.augmentation.probability:.2f}"
            )

        run_session(session, state, show)
    log = pd.DataFrame(state.log)
    save_generator(out / "generator.safetensors", state.average)
    save_state(out / "snapshot.safetensors", state)
    write_csv(out / "training_log.csv", log)
    metrics = {
        "kimg": state.images_seen / 1000,
        "style_dimensions": state.generator.style_dimensions,
        "generator_parameters": sum(p.numel() for p in state.generator.parameters()),
        "discriminator_parameters": sum(p.numel() for p in state.discriminator.parameters()),
        "training_images": len(session.images.labels),
        **{key: log[key].iloc[-10:].mean() for key in ("discriminator_loss", "generator_loss", "real_sign")},
        "augmentation_probability": state.augmentation.probability,
    }
    write_json(out / "metrics.json", metrics)
    remove(session.folder)


if __name__ == "__main__":
    run_stage(main, "train_stylegan2")
