"""What one section of params.yaml says of another, checked before any stage runs; a stage alone would find it late."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import check_pinned, read_description
from failure_atlas.images.gtsrb import SIGNS
from failure_atlas.images.own_images import choose_names
from failure_atlas.images.sources import DIGITS, GARMENTS
from failure_atlas.populations.sampling import LEAST_PER_CLASS
from failure_atlas.ranking.scores import FINITE_DIFFERENCE, check_samples
from failure_atlas.stylegan2.state import check_architecture
from stages.acceptance.known_metrics import check_metric
from stages.common.image_params import PUBLISHED
from stages.compare_rankings.params import check_sizes
from stages.train_judges.params import BROUGHT, ENSEMBLES
from stages.train_stylegan2.session import check_resumed, choose_snapshot

TRAINED_PX = (32, 128)
GENERATOR, TRAINED = "generator", "train_stylegan2"  # the key of params, and what it names unless one was brought
CLASSES = dict(zip(PUBLISHED, (DIGITS, DIGITS, GARMENTS, SIGNS), strict=True))


@dataclass(frozen=True)
class Document:
    """A params file whose sections are good, each by itself.

    sections: by name, validated; a mapping of entries where there are several.  classifiers: name -> section of those
    under test.  generator: what makes the images of later stages; rules of a training count where that is one.
    """

    path: Path
    sections: Mapping[str, Any]
    classifiers: Mapping[str, str]
    generator: str = TRAINED

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, where params tell them; images in folders and without names do so themselves."""
        images = self.sections["prepare_images"]
        known = CLASSES.get(images.source, images.class_names)
        return None if known is None else choose_names(known, images.classes, f"{self.path}: prepare_images.classes")

    @property
    def classes(self) -> int:
        """How many classes there are; the least that there can be where params do not tell."""
        return len(self.class_names or "ab")

    def refuse(self, key: str, held: object, allowed: str) -> None:
        """Raise the StageError that says so."""
        raise StageError(f"{self.path}: {key}: got {held!r}; allowed: {allowed}")

    def limit(self, room: str, key: str, most: int, what: str) -> None:
        """Raise StageError if a number, or the largest of a list, is above what another section leaves."""
        held = getattr(self.sections[room], key)
        for number in held if isinstance(held, list) else [held]:
            if isinstance(number, int) and number > most:
                self.refuse(f"{room}.{key}", number, f"at most {most:,}, {what}")


def check_across(document: Document) -> None:
    """Raise StageError for the first rule that does not hold; rules over sections that are not there are left out."""
    for rooms, rule in RULES:
        if all(room in document.sections and _counts(document, room) for room in rooms):
            rule(document)


def _counts(document: Document, room: str) -> bool:
    """Whether rules speak of a section: of a training that makes no image of later stages they do not."""
    return room != TRAINED or document.generator == TRAINED


def check_files(document: Document) -> None:
    """Raise StageError unless the files that params pin are there, whole, and fit the params."""
    sections = document.sections
    if {"prepare_images", "train_judges"} <= sections.keys():
        _check_judges(document)
    if {"prepare_images", TRAINED} <= sections.keys() and _counts(document, TRAINED):
        _check_snapshot(document)


def _check_widths(document: Document) -> None:
    widths = document.sections["train_stylegan2"].generator_channels
    size_px = document.sections["prepare_images"].size_px
    if not TRAINED_PX[0] <= size_px <= TRAINED_PX[1]:
        allowed = f"{TRAINED_PX[0]} to {TRAINED_PX[1]} where the generator is trained here; of other images, bring one"
        document.refuse("prepare_images.size_px", size_px, f"{allowed} (docs/generators.md)")
    if 2 << len(widths) != size_px:
        needed = f"{size_px.bit_length() - 2} widths, one for each of 4, 8, 16, ... px up to prepare_images.size_px, "
        document.refuse("train_stylegan2.generator_channels", widths, f"{needed}{size_px}")


def _check_limits(document: Document) -> None:
    """No more dimensions than the generator has, no more samples than there are; see LIMITS."""
    for source, key, less, what, limited in LIMITS:
        if source in document.sections and _counts(document, source):
            most = getattr(document.sections[source], key) - less
            for room, limited_key in limited:
                if room in document.sections:
                    document.limit(room, limited_key, most, what)


LIMITS: tuple[tuple[str, str, int, str, tuple[tuple[str, str], ...]], ...] = (
    ("train_stylegan2", "style_dimensions", 0, "the style dimensions of train_stylegan2.generator_channels",
     (("compute_curves", "top_k"), ("compute_curves", "headline_k"), ("compute_curves", "shift_dimensions"),
      ("validate_externally", "shift_dimensions"), ("validate_externally", "distance_dimensions"),
      ("compare_generators", "top"), ("corroborate", "dimensions"), ("corroborate", "distance_dimensions"))),
    ("sample_populations", "samples", 0, "the population's sample_populations.samples",
     (("compute_curves", "shift_samples"), ("measure_robustness", "samples"))),
    ("sample_populations", "samples", 1, "the last of sample_populations.samples, from 0 on",
     (("walk_corner_cases", "start_samples"), ("find_failures", "start_samples"))),
)  # fmt: skip


def _check_brought_judges(document: Document) -> None:
    """Entries for both, where they are brought, and neither of them under test."""
    entries = document.sections["bring_classifiers"]
    for name in ENSEMBLES if document.sections["train_judges"].released == BROUGHT else ():
        if name not in entries:
            allowed = f"brought with an entry bring_classifiers.{name} (docs/generators.md); entries there: "
            document.refuse("train_judges.released", BROUGHT, allowed + (", ".join(entries) or "none"))
        if name in document.classifiers:
            document.refuse(f"classifiers.{name}", "bring_classifiers", "another name: no judge is under test")


def _check_shares(document: Document) -> None:
    """Enough samples of each class."""
    section = document.sections["sample_populations"]
    folds = document.classes * section.probe_folds
    least = max(LEAST_PER_CLASS * document.classes, folds)
    in_folds = f"in each of {section.probe_folds} probe_folds"
    if section.samples < least:
        allowed = f"at least {least}: {LEAST_PER_CLASS} of each class, and one {in_folds}"
        document.refuse("sample_populations.samples", section.samples, allowed)
    if section.tsne_samples < folds:
        allowed = f"at least {folds}, one sample of each class {in_folds}"
        document.refuse("sample_populations.tsne_samples", section.tsne_samples, allowed)
    if "rank_dimensions" in document.sections and document.sections["rank_dimensions"].score == FINITE_DIFFERENCE:
        wanted = document.sections["rank_dimensions"].finite_difference_samples
        key = "rank_dimensions.finite_difference_samples"
        check_samples(document.path, key, wanted, document.classes, section.samples)


def _check_rankings(document: Document) -> None:
    sections = document.sections
    sizes = sections["sample_populations"].samples, sections["train_stylegan2"].style_dimensions, document.classes
    check_sizes(document.path, sections["compare_rankings"], *sizes)


def _check_figure_classes(document: Document) -> None:
    if document.class_names is not None and document.sections["prepare_images"].source in PUBLISHED:
        last = document.classes - 1
        document.limit("walk_corner_cases", "figure_classes", last, "the last class, counted from 0")


def _check_claims(document: Document) -> None:
    trained = [name for name, section in document.classifiers.items() if section == "train_classifiers"]
    for key in ("trained_on_clean", "trained_on_corrupted"):
        held = getattr(document.sections["check_claims"], key)
        if held not in trained:
            allowed = f"a classifier that is trained here and under test: {', '.join(trained) or 'there is none'}"
            document.refuse(f"check_claims.{key}", held, allowed)


def _check_criteria(document: Document) -> None:
    entries = {room: document.sections.get(room, {}) for room in ("train_classifiers", "bring_classifiers")}
    for index, criterion in enumerate(document.sections["acceptance"].criteria):
        folder, _, key = criterion.metric.partition(": ")
        room, _, name = folder.partition("/")
        allowed = check_metric(room, name, key, entries.get(room, document.classifiers), document.classifiers)
        if allowed:
            document.refuse(f"acceptance.criteria.{index}.metric ({criterion.id})", criterion.metric, allowed)


def _check_hazards(document: Document) -> None:
    """Of own images that tell their classes themselves, nothing is known yet."""
    names = document.class_names
    for index, hazard in enumerate(document.sections["acceptance"].hazards if names is not None else ()):
        for key, held in (("true_class", hazard.true_class), ("read_as", hazard.read_as)):
            if held is not None and held not in (names or ()):
                allowed = f"null (any), or a class: {', '.join(names or ())}"
                document.refuse(f"acceptance.hazards.{index}.{key} ({hazard.id})", held, allowed)


RULES: tuple[tuple[tuple[str, ...], Callable[[Document], None]], ...] = (
    (("prepare_images", "train_stylegan2"), _check_widths),
    (("prepare_images", "sample_populations"), _check_shares),
    ((), _check_limits),
    (("prepare_images", "train_stylegan2", "sample_populations", "compare_rankings"), _check_rankings),
    (("prepare_images", "walk_corner_cases"), _check_figure_classes),
    (("bring_classifiers", "train_judges"), _check_brought_judges),
    (("check_claims",), _check_claims),
    (("acceptance",), _check_criteria),
    (("prepare_images", "acceptance"), _check_hazards),
)


def _check_judges(document: Document) -> None:
    """The first released pair that knows the classes, as the stage takes it; of unknown classes, all are looked at."""
    channels = document.sections["prepare_images"].channels
    known = []
    for index, released in enumerate(document.sections["train_judges"].pairs):
        key = f"train_judges.released.{index}"
        pinned = {f"{key}.judge": released.judge, f"{key}.auditor": released.auditor}
        held = [read_description(check_pinned(each, place)) for place, each in pinned.items()]
        known += [", ".join(map(str, each.get("class_names", []))) for each in held]
        if document.class_names is None or any(each.get("class_names") != document.class_names for each in held):
            continue
        sees = {member["channels"] for each in held for member in each.get("architectures", [])}
        if sees - {channels}:
            seen = ", ".join(map(str, sorted(sees)))
            allowed = f"{seen}, what the networks of {key} see; or set train_judges.released: null"
            document.refuse("prepare_images.channels", channels, allowed)
        return
    if known and document.class_names is not None:
        raise StageError(
            f"{document.path}: train_judges.released: knows {'; '.join(dict.fromkeys(known))}; the images show "
            f"{', '.join(document.class_names)}; set train_judges.released: null to train judges on them"
        )


def _check_snapshot(document: Document) -> None:
    """The snapshot that training goes on from is there, holds such networks, and is not past the end."""
    section = document.sections["train_stylegan2"]
    if section.resume is None:
        return
    names = document.class_names
    path = choose_snapshot(section.resume, names or [])
    if names is None:
        return
    description = read_description(path)
    generator, discriminator = section.design_networks(len(names), document.sections["prepare_images"].channels)
    check_architecture(path, "generator", description["generator"], generator.describe())
    check_architecture(path, "discriminator", description["discriminator"], discriminator.describe())
    check_resumed(section.total_kimg, path, description["images_seen"], description["class_names"], names)
