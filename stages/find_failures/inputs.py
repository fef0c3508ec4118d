"""What the search works with, read and checked before any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.judges.failures import AUDITOR
from failure_atlas.judges.remoteness import Surroundings, fit_surroundings, represent
from failure_atlas.search.domain import Domain, enter_latents, fit_domain
from failure_atlas.search.metering import Meter
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.show import CLASSIFIER, JUDGE, Classify, World
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.artefacts.inverted import RealImages, read_inverted
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.find_failures.params import FindFailuresParams

SCORER = "scorer"  # a third judge, asked after the auditor


@dataclass(frozen=True)
class Opened:
    """Networks, population and real images.

    world: over styles, with CLASSIFIER and JUDGE.  latents: the same over w.  Both count what they do in `meter`.
    members: of the judge, counted, too.  witnesses: AUDITOR, and SCORER where there is one; no search asks them.
    w: [N, W], of the population; domain, std: of it.  real: the real test images; surroundings, features: to the
    auditor.  inverted: real images in W, those that are usable.
    """

    generator: Generator
    classifier: nn.Module
    world: World
    latents: World
    members: list[Classify]
    meter: Meter
    judge: Ensemble
    witnesses: Mapping[str, Ensemble]
    samples: Samples
    w: np.ndarray
    domain: Domain
    std: np.ndarray
    real: ImageSet
    surroundings: Surroundings
    features: np.ndarray
    inverted: RealImages | None

    def locate(self, z: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """Latents w [N, W] float32 of z [N, Z]; true_class: [N]."""
        with torch.no_grad():
            labels = torch.from_numpy(true_class).to(self.world.device)
            return self.generator.map_latents(torch.from_numpy(z).to(self.world.device), labels).cpu().numpy()

    def style(self, w: np.ndarray) -> np.ndarray:
        """Styles [N, D] float32 of latents w [N, W]."""
        with torch.no_grad():
            return self.generator.map_styles(torch.from_numpy(w).to(self.world.device)).cpu().numpy()


def open_search(
    generator: Path,
    classifier: Path,
    judges: Mapping[str, Path],
    images: Path,
    population: Path,
    inverted: Path,
    section: FindFailuresParams,
) -> Opened:
    """Read everything; inverted only if real images are asked for. judges: JUDGE, AUDITOR and perhaps SCORER.

    Raises StageError if something is missing, does not fit, or one of the judges is another one.
    """
    device = choose_device()
    painter, network = load_networks(generator, classifier, device)
    samples = read_samples(population, painter)
    names = samples.class_names
    ensembles = {name: load_judge(require(path, "train_judges"), names, device) for name, path in judges.items()}
    _refuse_twins(judges)
    if read_class_names(require(images, "corrupt_images")) != names:
        shown = ", ".join(read_class_names(images))
        raise StageError(f"{images}: shows the classes {shown}; the population has {', '.join(names)}")
    real = read_images(images, "test")
    features = represent(ensembles[AUDITOR], real.images, batch_size=section.batch_size)
    w = read_array(population / "population.zarr", "w")
    meter, judge = Meter(), ensembles[JUDGE]
    networks = {CLASSIFIER: network, JUDGE: judge}
    plain = World(painter.synthesize, networks, section.batch_size, device, painter.num_classes)
    world = meter.watch_world(plain, painter.style_dimensions)
    example = torch.from_numpy(real.images[:1]).to(device) / 255
    return Opened(
        generator=painter,
        classifier=network,
        world=world,
        latents=enter_latents(world, painter.map_styles, painter.w_dim),
        members=[meter.watch(member, example) for member in judge.members],
        meter=meter,
        judge=judge,
        witnesses={name: each for name, each in ensembles.items() if name != JUDGE},
        samples=samples,
        w=w,
        domain=fit_domain(w, samples.true_class, section.inside_share),
        std=w.std(axis=0, ddof=1, dtype=np.float64),
        real=real,
        surroundings=fit_surroundings(features),
        features=features,
        inverted=read_inverted(inverted, painter, names) if section.real_starts else None,
    )


def _refuse_twins(judges: Mapping[str, Path]) -> None:
    seen: dict[bytes, Path] = {}
    for path in judges.values():
        content = path.read_bytes()
        if content in seen:
            raise StageError(f"{path}: the same judge as {seen[content]}; it confirms nothing unless it is another one")
        seen[content] = path
