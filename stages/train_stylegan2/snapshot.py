"""What an analysis may want of a training snapshot: the discriminator, ready to score images."""

from pathlib import Path

import torch

from stages.common.errors import StageError
from stages.common.weights import load_tensors
from stages.train_stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from stages.train_stylegan2.state import KIND

PREFIX = "discriminator."


def load_discriminator(path: Path, device: torch.device) -> Discriminator:
    """The discriminator of a snapshot, in evaluation mode, its weights frozen.

    Raises StageError if the file is missing, cut, or holds no discriminator that this version can build.
    """
    tensors, description = load_tensors(path, KIND)
    own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    try:
        held = description["discriminator"]
        discriminator = Discriminator(DiscriminatorArchitecture(**{**held, "channels": tuple(held["channels"])}))
        discriminator.load_state_dict(own)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no discriminator that this version can build ({reason}); make it again with: "
            "dvc repro train_stylegan2"
        ) from error
    # Channels last: the same numbers but for rounding, faster on a CPU.
    discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
    return discriminator.to(device).eval().requires_grad_(False)
