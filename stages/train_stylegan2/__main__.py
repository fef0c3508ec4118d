"""Command of the stage `train_stylegan2`."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.files import remove, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.stylegan2.generator import save_generator
from failure_atlas.stylegan2.state import TrainingState, save_state
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.train_stylegan2.figures import draw_sample_sheet, draw_training_log
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.session import (
    Session,
    count_feature_images,
    count_images,
    follow_session,
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
    class_names = read_class_names(images)
    session = Session(read_images(images, "train"), class_names, section, resume_root, choose_device())
    if launched_rank():  # of torchrun's processes, the first one shows and writes
        follow_session(session)
        return
    start = start_state(session)
    if to_show := count_feature_images(session, start):
        with Progress("learning features", to_show, "img") as learning:
            prepare_critic(session, start, learning.advance)
    with Progress("train_stylegan2", count_images(session, start), "img", done=start.images_seen) as progress:

        def show(state: TrainingState) -> None:
            row = state.log[-1]
            losses = f"D {row['discriminator_loss']:.2f} G {row['generator_loss']:.2f}"
            progress.advance(
                state.images_seen - progress.done, f"{losses} augmentation p {state.augmentation.probability:.2f}"
            )
            if state.images_seen // 1000 % section.snapshot_kimg == 0:
                sheet = session.folder / "sample_sheet.png"
                draw_sample_sheet(sheet, state.average, class_names, section.seed, state.images_seen / 1000)

        state = run_session(session, show)
    log = pd.DataFrame(state.log)
    kimg = state.images_seen / 1000
    save_generator(out / "generator.safetensors", state.average)
    save_state(out / "snapshot.safetensors", state)
    draw_sample_sheet(out / "figures" / "sample_sheet.png", state.average, class_names, section.seed, kimg)
    draw_training_log(out / "figures" / "training_log.png", log)
    write_json(
        out / "metrics.json",
        {
            "kimg": kimg,
            "style_dimensions": state.generator.style_dimensions,
            "generator_parameters": sum(p.numel() for p in state.generator.parameters()),
            "discriminator_parameters": sum(p.numel() for p in state.discriminator.parameters()),
            "training_images": len(session.images.labels),
            **{key: log[key].iloc[-10:].mean() for key in ("discriminator_loss", "generator_loss", "real_sign")},
            "augmentation_probability": state.augmentation.probability,
        },
    )
    remove(session.folder)


if __name__ == "__main__":
    run_stage(main, "train_stylegan2")
