"""What the stage reads, and the images that mixtures are made of and measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.classifiers.evaluation import predict
from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_table, require
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.corruptions.corruptions import corrupt, draw_severities, open_streams
from failure_atlas.corruptions.registry import Step, choose_steps, refuse_channels
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.modes.mode import Mode, cover, read_mode
from failure_atlas.populations.sampling import draw_styles
from failure_atlas.populations.unconditional import label_with
from failure_atlas.stylegan2.generator import Generator, load_generator
from failure_atlas.world.show import JUDGE, World
from stages.common.artefacts.attributes import Measured, read_measured
from stages.common.artefacts.images import read_class_names, read_images, read_training
from stages.common.artefacts.population import read_samples
from stages.common.classifier_params import TrainClassifierParams
from stages.common.image_params import CorruptImagesParams
from stages.common.mode_params import FindModesParams
from stages.repair_classifier.params import RepairClassifierParams

CLEAN, RECIPE, OUTSIDE, HELD_OUT, POPULATION = "clean", "recipe", "outside", "held out", "population"
REAL_TESTS = (CLEAN, RECIPE, OUTSIDE)
REAL, MORE, MORE_IN_MODES = "real", "more", "more/modes"


@dataclass(frozen=True)
class Looked:
    """Images with their labels, what they look like (float64 [N, M], all attributes), and how sure a judge is of them.

    probability: [N], of the class that was meant; 1 where no judge was asked.
    """

    images: ImageSet
    looks: np.ndarray
    probability: np.ndarray

    def select(self, rows: np.ndarray) -> ImageSet:
        """Some of the images; rows: bool [N]."""
        return ImageSet(self.images.images[rows], self.images.labels[rows])


@dataclass(frozen=True)
class Inputs:
    """All that is learned from and measured on.

    real: the training set, as the classifier under repair learned from it.  more: its images, corrupted anew.  pools:
    by generator.  modes: of that classifier, with their sentences.  offered: indices of the attributes that conditions
    may be made of.  tests: what is read, with its labels, by name.
    population, real_test: what modes are held against.  auditor_sure: bool [N], of the population.  kinds: names of
    corruptions outside the recipe.  kind_of: int64 [R], which of them each image of the test `outside` has.
    """

    class_names: list[str]
    measured: Measured
    offered: Sequence[int]
    real: Looked
    more: Looked
    pools: Mapping[str, Looked]
    modes: list[Mode]
    sentences: list[str]
    tests: Mapping[str, ImageSet]
    population: Looked
    real_test: Looked
    auditor_sure: np.ndarray
    kinds: Sequence[str]
    kind_of: np.ndarray


def read_modes(folder: Path, measured: Measured, class_names: Sequence[str]) -> tuple[list[Mode], list[str]]:
    """Modes of find_modes with their sentences, in the order of the table."""
    table = read_table(folder / "modes.csv", "find_modes", ["sentence", "definition"])
    try:
        modes = [read_mode(str(each), measured.names, class_names) for each in table["definition"]]
    except ValueError as error:
        raise StageError(
            f"{folder / 'modes.csv'}: definition: {error}; make it again with: dvc repro find_modes"
        ) from error
    return modes, table["sentence"].astype(str).tolist()


def load_painter(path: Path, classes: int, shape: tuple[int, ...]) -> Generator:
    """A generator; StageError unless it makes images of so many classes, of the shape [C, H, W]."""
    painter = load_generator(path, choose_device())
    held = painter.architecture
    made = (held.image_channels, held.size_px, held.size_px)
    if held.num_classes != classes or made != shape:
        told = f"images of {held.num_classes} classes and shape {made}; --images has {classes} and {shape}"
        raise StageError(f"{path}: makes {told}; use a generator that was trained on these")
    return painter


def draw_pools(
    painters: Mapping[str, tuple[Generator, Ensemble]], measured: Measured, section: RepairClassifierParams
) -> dict[str, Looked]:
    """Fresh images of each generator, what they look like, and what the judge that goes with it says of them."""
    device, pools = choose_device(), {}
    for name, (painter, judge) in painters.items():
        world = World(painter.synthesize, {JUDGE: judge}, section.batch_size, device, painter.num_classes)
        random, label = numpy_stream(section.seed, "pool", name), label_with(world)
        drawn = draw_styles(painter, section.pool, random, section.batch_size, label=label)
        with Progress(f"drawing from {name}", section.pool, "img") as progress:
            shown = world.show(drawn.styles, noise=drawn.noise, advance=progress.advance)
        pools[name] = Looked(
            ImageSet(shown.images, drawn.true_class), measure(shown.images, measured),
            shown.score(drawn.true_class, JUDGE),
        )  # fmt: skip
    return pools


def measure(images: np.ndarray, measured: Measured) -> np.ndarray:
    """All attributes of images, float64 [N, M]."""
    with Progress("measuring", len(images), "img") as progress:
        return measured.calibration.read(measured.calibration.measure_all(images, progress.advance))


def corrupt_anew(
    clean: ImageSet, corruption: CorruptImagesParams, steps: list[Step], copies: int, seed: int, purpose: str
) -> ImageSet:
    """Every image several times, each time with severities and noise of its own."""
    images, labels = (np.tile(each, (copies,) + (1,) * (each.ndim - 1)) for each in (clean.images, clean.labels))
    random = numpy_stream(seed, "repair_classifier", purpose)
    drawn = draw_severities(len(labels), corruption.clean_fraction, corruption.severities, random, steps=len(steps))
    return ImageSet(corrupt(images, drawn, steps, open_streams(seed, f"repair_classifier {purpose}")), labels)


def corrupt_outside(
    clean: ImageSet, steps: Sequence[Step], severities: Sequence[int], seed: int
) -> tuple[ImageSet, np.ndarray]:
    """Every image with one corruption, all equally often, at a severity drawn for it; and which one, int64 [N]."""
    random = numpy_stream(seed, "repair_classifier", OUTSIDE)
    kind_of = random.permutation(np.arange(len(clean.labels)) % len(steps))
    severity = random.choice(np.asarray(severities, np.uint8), len(kind_of))
    images = clean.images.copy()
    for place, step in enumerate(steps):
        rows, streams = kind_of == place, open_streams(seed, f"repair_classifier {OUTSIDE}")
        images[rows] = corrupt(clean.images[rows], severity[None, rows], [step], streams)
    return ImageSet(images, clean.labels), kind_of


def open_inputs(
    section: RepairClassifierParams, entry: TrainClassifierParams, corruption: CorruptImagesParams,
    search: FindModesParams, *, params: Path, recipe: Path,
    generators: Mapping[str, Path], judges: Mapping[str, Path], auditor: Path, population: Path, attributes: Path,
    modes: Path, images: Path, corrupted: Path, test_images: Path, test_corrupted: Path, test_attributes: Path,
) -> Inputs:  # fmt: skip
    """Read all that the options name, draw and corrupt what is not yet there; StageError for what does not fit.

    section: of the file `params`.  entry, corruption, search: of the file `recipe`.
    """
    class_names = read_class_names(require(images, "prepare_images"))
    samples = read_samples(population)
    measured = read_measured(attributes, samples.true_class)
    shown = {"--population": samples.class_names}
    for option, store, maker in (
        ("--corrupted", corrupted, "corrupt_images"), ("--test-images", test_images, "prepare_images"),
        ("--test-corrupted", test_corrupted, "corrupt_images"),
    ):  # fmt: skip
        shown[option] = read_class_names(require(store, maker))
    for option, held in shown.items():
        if held != class_names:
            raise StageError(f"{option}: shows the classes {', '.join(held)}; --images shows {', '.join(class_names)}")
    found, sentences = read_modes(modes, measured, class_names)
    offered = measured.offer(search.attributes, samples.true_class, recipe)
    steps = choose_steps(corruption.recipe, corruption.table)
    clean = {split: read_images(images, split) for split in ("train", "test")}
    shape = clean["train"].images.shape[1:]
    try:
        outside = choose_steps(section.outside, corruption.table)
        refuse_channels([*steps, *outside], shape[0])
    except ValueError as error:
        raise StageError(f"{params}: repair_classifier.outside: {error}") from error
    if again := sorted(set(section.outside) & set(corruption.recipe)):
        raise StageError(
            f"{params}: repair_classifier.outside: got {again[0]}; allowed: corruptions that are not of the recipe "
            f"({', '.join(corruption.recipe)})"
        )
    painters = {
        name: (load_painter(path, len(class_names), shape), load_judge(judges[name], class_names, choose_device()))
        for name, path in generators.items()
    }
    sure = load_judge(auditor, class_names, choose_device())
    real_test, of_test = read_images(test_corrupted, "test"), read_measured(test_attributes)
    if len(of_test.images) != len(real_test.labels):
        raise StageError(
            f"{test_attributes}: measures {len(of_test.images)} test images, {test_corrupted} has "
            f"{len(real_test.labels)}; make it again with: dvc repro measure_attributes"
        )
    real, test = read_training(images, corrupted, entry.train_on), read_images(test_images, "test")
    more = corrupt_anew(clean["train"], corruption, steps, section.copies, section.seed, MORE)
    tests = {CLEAN: test, RECIPE: real_test}
    tests[OUTSIDE], kind_of = corrupt_outside(test, outside, section.outside_severities, section.seed)
    tests[HELD_OUT] = corrupt_anew(clean["test"], corruption, steps, section.copies, section.seed, HELD_OUT)
    made = ImageSet(read_array(population / "population.zarr", "images"), samples.true_class)
    tests[POPULATION] = made
    probability = predict(sure, made.images)[np.arange(len(made.labels)), made.labels]
    return Inputs(
        class_names, measured, [measured.names.index(each) for each in offered],
        real=_look(real, measure(real.images, measured)), more=_look(more, measure(more.images, measured)),
        pools=draw_pools(painters, measured, section),
        modes=found, sentences=sentences, tests=tests,
        population=_look(made, measured.population.astype(np.float64)),
        real_test=_look(real_test, of_test.images.astype(np.float64)),
        auditor_sure=probability >= sure.confidence, kinds=section.outside, kind_of=kind_of,
    )  # fmt: skip


def _look(images: ImageSet, looks: np.ndarray) -> Looked:
    return Looked(images, looks, np.ones(len(images.labels)))


def read_answers(classifier: Path, pools: Mapping[str, Looked]) -> dict[str, np.ndarray]:
    """What the classifier under repair reads in the pools."""
    network = load_classifier(classifier, choose_device())
    return {name: predict(network, pool.images.images).argmax(axis=1) for name, pool in pools.items()}


def list_sources(
    inputs: Inputs, answers: Mapping[str, np.ndarray], least_probability: float, params: Path
) -> dict[str, ImageSet]:
    """Sets to learn from, by name: real, more of them, and of each generator all, failures, and failures by mode.

    Of generated images those are taken whose meant class their judge gives at least this probability; a failure is
    one that the classifier misreads. StageError, which names the file `params`, if a generator shows none.
    """
    in_modes = np.any(cover(inputs.modes, inputs.more.looks, inputs.more.images.labels), axis=0)
    sources = {REAL: inputs.real.images, MORE: inputs.more.images, MORE_IN_MODES: inputs.more.select(in_modes)}
    for name, pool in inputs.pools.items():
        readable = pool.probability >= least_probability
        failed = (answers[name] != pool.images.labels) & readable
        if not failed.any():
            raise StageError(
                f"{params}: repair_classifier: none of {len(failed)} images of {name} is misread where its judge gives "
                f"{least_probability:g} to the class that was meant; raise pool, or lower least_probability"
            )
        sources |= {f"generated/{name}": pool.select(readable), f"failures/{name}": pool.select(failed)}
        for place, inside in enumerate(cover(inputs.modes, pool.looks, pool.images.labels)):
            sources[f"modes/{name}/{place}"] = pool.select(inside & failed)
    return {name: each for name, each in sources.items() if len(each.labels)}
