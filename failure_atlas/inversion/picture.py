"""One picture from anywhere: what everybody says of it, its reconstruction, and its nearest true failures."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.brought.generator import load_generator
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.arrays import read_array, read_attributes
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.inversion.fit import measure_contrast, measure_fit
from failure_atlas.inversion.invert import Inverted, choose_nearest, invert
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.judges.failures import AUDITOR
from failure_atlas.search.domain import Domain, enter_latents, fit_domain
from failure_atlas.search.nearest import Nearest, Steering, aim_above, walk_to_failures
from failure_atlas.statistics.moments import measure_std
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown, World


@dataclass(frozen=True)
class Files:
    """Where the results of a run lie; classifiers: by name."""

    generator: Path
    classifiers: Mapping[str, Path]
    judge: Path
    auditor: Path
    population: Path


@dataclass(frozen=True)
class Settings:
    """As the sections invert_images and find_failures of params.yaml have them."""

    seed: int
    inside_share: float
    steps: int
    style_steps: int
    confidence: float
    judge_weight: float
    search_share: float
    step_std: float
    most_steps: int
    restart_steps: int
    batch_size: int


@dataclass(frozen=True)
class Failure:
    """Where a walk from N reconstructions led, as far as one was found.

    walk: see `Nearest`.  shown: the images there, and what CLASSIFIER, JUDGE and AUDITOR say of them.
    """

    walk: Nearest
    shown: Shown


@dataclass(frozen=True)
class Explained:
    """N pictures.

    looked: what JUDGE, AUDITOR and the classifiers say of them.  true_class: int64 [N], as what they are reconstructed.
    found, shown: where, and what is said of the reconstruction.  structure_rmse, contrast: [N].  failures: by
    classifier.
    """

    looked: Shown
    true_class: np.ndarray
    found: Inverted
    shown: Shown
    structure_rmse: np.ndarray
    contrast: np.ndarray
    failures: Mapping[str, Failure]


@dataclass(frozen=True)
class Atlas:
    """A world with all that looks at it, and where its samples lie.

    w: [M, W], images, labels: of the population.  std: [D], of its styles.
    """

    generator: Generator
    classifiers: Mapping[str, nn.Module]
    judge: Ensemble
    auditor: Ensemble
    class_names: Sequence[str]
    w: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    std: np.ndarray
    settings: Settings

    @property
    def world(self) -> World:
        """Over styles, with JUDGE, AUDITOR and the classifiers by name."""
        networks = {JUDGE: self.judge, AUDITOR: self.auditor, **self.classifiers}
        device = next(self.generator.parameters()).device
        return World(self.generator.synthesize, networks, self.settings.batch_size, device, self.generator.num_classes)

    def explain(self, framed: Sequence[np.ndarray], true_class: int | None = None) -> Explained:
        """framed: N pictures, uint8 [C, H, W], framed as the images of the run.

        true_class: of all of them; where nobody says it, each is what the judge sees in it.
        """
        pictures = np.stack(framed)
        keys = [zlib.crc32(picture.tobytes()) for picture in framed]
        looked = self.world.look(pictures)
        labels = looked.predicted(JUDGE) if true_class is None else np.full(len(pictures), true_class)
        near, settings = choose_nearest(pictures, labels, self.images, self.labels), self.settings
        with Progress("inverting", len(pictures), "img") as progress:
            found = invert(
                self.world, self.generator.map_styles, fit_domain(self.w, self.labels, settings.inside_share),
                pictures, labels, self.w[near], self.std, steps=settings.steps, style_steps=settings.style_steps,
                stream=self._stream("noise", keys), advance=progress.advance,
            )  # fmt: skip
        shown = self.world.show(found.styles, noise=found.noise)
        failures, domain = {}, fit_domain(self.w, self.labels, settings.search_share)
        for name, network in self.classifiers.items():
            with Progress(f"walking, {name}", len(pictures), "walks") as progress:
                failures[name] = self._walk(network, domain, found, labels, keys, progress.advance)
        fit = measure_fit(pictures, shown.images)["structure_rmse"].to_numpy(float)
        return Explained(looked, labels, found, shown, fit, measure_contrast(pictures), failures)

    def _walk(
        self,
        network: nn.Module,
        domain: Domain,
        found: Inverted,
        true_class: np.ndarray,
        keys: Sequence[int],
        on_end: Callable[[int], object],
    ) -> Failure:
        settings = self.settings
        world = World(
            self.generator.synthesize, {CLASSIFIER: network, JUDGE: self.judge, AUDITOR: self.auditor},
            settings.batch_size, self.world.device, self.generator.num_classes,
        )  # fmt: skip
        latents = enter_latents(world, self.generator.map_styles, self.generator.w_dim)
        steering = Steering(
            latents, list(self.judge.members), aim_above(settings.confidence), settings.judge_weight,
            self.w.std(axis=0, ddof=1, dtype=np.float64), not is_differentiable(network),
        )  # fmt: skip
        walk = walk_to_failures(
            steering, domain, found.w, true_class, found.noise, confidence=settings.confidence,
            step_std=settings.step_std, most_steps=settings.most_steps, restart_steps=settings.restart_steps,
            stream=self._stream("restarts", keys), offset=found.offset, on_end=on_end,
        )  # fmt: skip
        place = np.concatenate([domain.place(walk.whitened, true_class), found.offset], axis=1)
        return Failure(walk, latents.show(place, noise=found.noise))

    def _stream(self, purpose: str, keys: Sequence[int]) -> Callable[[int], np.random.Generator]:
        """By what a picture shows, so that it does not matter beside which others it is asked about."""
        return lambda index: numpy_stream(self.settings.seed, "picture", purpose, keys[index])


def open_atlas(files: Files, settings: Settings) -> Atlas:
    """Read networks and population; StageError if one is missing, damaged, or does not fit the others."""
    device = choose_device()
    generator = load_generator(files.generator, device)
    path = files.population / "population.zarr"
    names = [str(name) for name in read_attributes(path).get("class_names", [])]
    styles = read_array(path, "s")
    if styles.shape[1] != generator.style_dimensions or len(names) != generator.num_classes:
        raise StageError(
            f"{path}: {styles.shape[1]} style dimensions and {len(names)} classes, the generator has "
            f"{generator.style_dimensions} and {generator.num_classes}; make it again with: "
            "dvc repro sample_populations"
        )
    return Atlas(
        generator,
        {name: load_classifier(file, device) for name, file in files.classifiers.items()},
        load_judge(files.judge, names, device),
        load_judge(files.auditor, names, device),
        names,
        read_array(path, "w"),
        read_array(path, "images"),
        read_array(path, "labels"),
        measure_std(styles),
        settings,
    )
