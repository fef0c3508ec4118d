"""Sample sheets and the course of training."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from failure_atlas.core.seeds import torch_stream
from failure_atlas.drawing.style import new_figure, save_figure, show_image, tile
from failure_atlas.stylegan2.generator import Generator

SHEET_COLUMNS = 16
LARGEST_GAP_KIMG = 10  # between rows of a log that a line joins


def sample_sheet(generator: Generator, seed: int) -> np.ndarray:
    """Sixteen samples of each class, one class a row, for the same latents at every call: [classes * 16, C, H, W]."""
    device = generator.constant.device
    labels = torch.arange(generator.num_classes).repeat_interleave(SHEET_COLUMNS)
    z = torch.randn(len(labels), generator.z_dim, generator=torch_stream(seed, "sample sheet"))
    with torch.no_grad():
        s = generator.map_styles(generator.map_latents(z.to(device), labels.to(device)))
        return generator.synthesize(s).cpu().numpy()


def draw_sample_sheet(path: Path, generator: Generator, class_names: list[str], seed: int, kimg: float) -> None:
    """Draw the sheet of the averaged generator; the CSV says which class stands in which row."""
    images = sample_sheet(generator, seed)
    figure, axes = new_figure(1, 1, width=5.6, height=0.35 * len(class_names) + 0.4)
    show_image(axes[0, 0], tile(images, SHEET_COLUMNS), f"generated, one class a row, after {kimg:g} kimg")
    rows = {"row": range(len(class_names)), "class": class_names, "kimg": kimg, "n": SHEET_COLUMNS}
    save_figure(figure, path, pd.DataFrame(rows))


def draw_training_log(path: Path, log: pd.DataFrame) -> None:
    """Draw losses, the discriminator's scores, and the overfitting signal with the augmentation it called for.

    Where the log has a gap, as of a training that was led by other means for a while, so have the lines.
    """
    shown = log.where(log["kimg"].diff().fillna(0) <= LARGEST_GAP_KIMG)
    figure, axes = new_figure(1, 3, width=10, height=2.8)
    panels = [
        (
            "losses",
            {"discriminator_loss": "discriminator", "generator_loss": "generator", "critic_loss": "feature critic"},
        ),
        ("mean score of the discriminator", {"real_logit": "real", "fake_logit": "generated"}),
        ("overfitting signal", {"real_sign": "mean sign of D(real)", "augmentation_probability": "augmentation p"}),
    ]
    for panel, (title, columns) in zip(axes[0], panels, strict=True):
        for column, label in columns.items():
            if column in log:
                panel.plot(shown["kimg"], shown[column], label=label, linewidth=1)
        panel.set_title(title)
        panel.set_xlabel("thousand images seen")
        panel.legend()
    save_figure(figure, path, log)
