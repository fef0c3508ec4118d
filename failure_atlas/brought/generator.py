"""A generator that is someone's own module: in a `Generator`'s place, kept on disk, and loaded as it was checked."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import nn

from failure_atlas.brought.checkpoint import describe_code, restore_network
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import read_description, save_tensors
from failure_atlas.stylegan2.generator import Generator, State, StyleLayer
from failure_atlas.stylegan2.generator import load_generator as load_trained

KIND = "brought generator"


@dataclass(frozen=True)
class GeneratorForm:
    """What a module said of itself when it was checked.

    layers: name and channels of each, in the order of S.  image_shape: (C, H, W).  labels: the module's own label of
    each class of the data; all 0 where it knows no classes.  conditional: whether it knows them.
    """

    z_dim: int
    w_dim: int
    layers: Sequence[Sequence[str | int]]
    image_shape: Sequence[int]
    labels: Sequence[int]
    conditional: bool


class BroughtGenerator(Generator):
    """A module with `map_latents(z, labels)`, `map_styles(w)` and `synthesize(s)` as the stages know a generator.

    Of a `Generator` it has the interface alone, no architecture. It knows no noise: seeds change nothing. Its layers
    cannot be run one by one: `run_layer` gathers styles, and behind the last one the whole image is made, so that
    AttFind is as exact as elsewhere, and slower.
    """

    labels: torch.Tensor

    def __init__(self, network: nn.Module, form: GeneratorForm, name: str = "the generator") -> None:
        nn.Module.__init__(self)
        self.network, self.form, self.name = network, form, name
        self.z_dim, self.w_dim, self.num_classes = form.z_dim, form.w_dim, len(form.labels)
        self.register_buffer("labels", torch.tensor(form.labels), persistent=False)
        # Where others look for the device that a generator computes on; a module may have no parameter at all.
        self.constant, self.convs = nn.Parameter(torch.zeros(0)), nn.ModuleList()
        offsets = accumulate((int(channels) for _, channels in form.layers), initial=0)
        self._layout = [
            StyleLayer(str(layer), "style", 0, offset, int(channels), place)
            for place, ((layer, channels), offset) in enumerate(zip(form.layers, offsets, strict=False))
        ]
        self.style_dimensions = sum(layer.channels for layer in self._layout)

    @property
    def conditional(self) -> bool:
        """Whether the class of a sample can be asked for."""
        return self.form.conditional

    def map_latents(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """z: [N, z_dim] standard normal; labels: [N] int64, of the data. Returns w [N, w_dim]."""
        return self._ask("map_latents", z, self.labels[labels])

    def map_styles(self, w: torch.Tensor) -> torch.Tensor:
        """w: [N, w_dim]. Returns s [N, style_dimensions]."""
        return self._ask("map_styles", w)

    def synthesize(self, s: torch.Tensor, seeds: np.ndarray | None = None) -> torch.Tensor:  # noqa: ARG002
        """Images [N, C, H, W] of s [N, style_dimensions], in [0, 1]; seeds: change nothing.

        Raises StageError if one is not finite: moved far enough, styles may leave what the module bears.
        """
        images = self._ask("synthesize", s)
        if not bool(images.isfinite().all()):
            raise StageError(
                f"{self.name}: an image is not finite (NaN or infinite) where styles were moved; bound what it computes"
            )
        return images.clamp(0, 1)

    def make_noise(self, seeds: np.ndarray) -> list[torch.Tensor]:  # noqa: ARG002
        """None at all."""
        return []

    def begin(self, samples: int) -> State:
        """No styles yet, and no image."""
        return State(self.constant.new_zeros(samples, 0), None)

    def run_layer(
        self, layer: StyleLayer, state: State, style: torch.Tensor, noise: torch.Tensor | None = None,  # noqa: ARG002
    ) -> State:  # fmt: skip
        """The styles so far, and behind the last layer the image, in [-1, 1] as `Generator` leaves it."""
        styles = torch.cat([state.features, style], dim=1)
        return State(styles, self.synthesize(styles) * 2 - 1 if layer == self._layout[-1] else None)

    def _ask(self, method: str, rows: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """What the module makes of rows [N, ...]; never of none, at which many modules fail."""
        one = 0 if len(rows) else 1
        padded = [torch.cat([each, each.new_zeros(one, *each.shape[1:])]) for each in (rows, *others)]
        return getattr(self.network, method)(*padded)[: len(rows)]  # type: ignore[no-any-return]


def save_module(
    path: Path, generator: BroughtGenerator, entry: BringClassifierParams, folder: Path, hashes: dict[str, str]
) -> None:
    """Write a brought generator so that `load_generator` needs this file and the folder as it was.

    folder: NAME of the entry is its own.  hashes: of its files, from before they were read.
    """
    described = {"kind": KIND} | describe_code(path, entry, folder, folder.name, hashes)
    save_tensors(path, generator.network.state_dict(), described | {"form": asdict(generator.form)})


def load_generator(path: Path, device: torch.device) -> Generator:
    """The generator of a file of train_stylegan2 or bring_generator: evaluation mode, weights frozen.

    Raises StageError if the file is missing, damaged or of another kind, or if brought code has changed since.
    """
    if read_description(path).get("kind") != KIND:
        return load_trained(path, device)
    network, _, description = restore_network(path, KIND, "bring_generator", ("form",))
    form, name = GeneratorForm(**description["form"]), f"bring_generator.{description['name']}"
    return BroughtGenerator(network, form, name).to(device).eval().requires_grad_(False)
