"""`failure-atlas image`: what classifiers and judges make of one's own pictures, and the nearest failure of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from failure_atlas.core.text import escape
from flows.console import require_project
from flows.errors import FlowError
from flows.project import DATA, PARAMS

if TYPE_CHECKING:
    from failure_atlas.inversion.picture import Atlas, Explained

MOST_PICTURES = 1000
FAILED = 1  # exit code where a picture could not be used
IN_DOMAIN, TOO_FAR, BLANK = "in the domain", "reconstruction too far", "too little contrast"
OF_INVERSION = ("seed", "inside_share", "steps", "style_steps", "batch_size")
OF_SEARCH = ("confidence", "judge_weight", "step_std", "most_steps", "restart_steps")


@dataclass(frozen=True)
class Units:
    """Of real test images: the structure_rmse that 99 % stay below, and the contrast that 99 % reach."""

    structure_rmse: float
    contrast: float


def image(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures: PNG, JPEG, BMP or WebP.")],
    classifier: Annotated[
        list[str] | None, typer.Option("--classifier", "-c", help="One of those under test; by default all. Repeat.")
    ] = None,
    true_class: Annotated[
        str | None, typer.Option("--class", help="What all of them show; else what the judge sees.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that receives NAME.atlas.png and .json.")] = Path(
        "pictures"
    ),
) -> None:
    """Explain your own pictures: what everybody sees, the reconstruction, and the nearest true failure of each.

    A picture is framed as prepare_images frames its images, and found in the generator's world without asking any
    classifier or judge. From there a search walks to the nearest image inside the population that the classifier gets
    wrong while the judge still sees the class. A reconstruction that lies farther from its picture than 99 % of real
    test images do from theirs, or a picture with less contrast than 99 % of them, is said to be out of the domain: then
    nothing that follows means much.

    Examples:
      failure-atlas image seven.png                    all classifiers under test
      failure-atlas image scans/*.png -c corrupted     one of them
      failure-atlas image seven.png --class 7 -o out   what it shows is known

    Exit code: 0 all are explained, 1 a picture could not be used (the others are explained), 2 wrong command line.
    """
    require_project()
    if len(files) > MOST_PICTURES:
        raise FlowError(f"got {len(files)} pictures; at most {MOST_PICTURES} at once")
    from failure_atlas.core.errors import StageError  # torch takes seconds to import: not for --help

    try:
        bad = _explain(files, classifier or [], true_class, out)
    except StageError as error:
        raise FlowError(str(error)) from error
    if bad:
        raise typer.Exit(FAILED)


def _explain(files: Sequence[Path], wanted: Sequence[str], true_class: str | None, out: Path) -> int:
    """Explain all that can be read; how many could not."""
    from failure_atlas.core.files import read_json
    from failure_atlas.images.frame import BadImageError, Frame, frame_image, tell_changes
    from failure_atlas.images.image_folder import read_picture
    from failure_atlas.inversion.picture import Files, open_atlas

    params = _read_params()
    under_test: Mapping[str, str] = params["classifiers"]
    if unknown := [name for name in wanted if name not in under_test]:
        raise FlowError(f"--classifier: got '{unknown[0]}'; allowed: {', '.join(under_test)}")
    chosen = {name: DATA / under_test[name] / name / "classifier.safetensors" for name in wanted or under_test}
    real = read_json(DATA / "invert_images" / "metrics.json", "invert_images")
    units = Units(real["structure_percentiles"]["99"], real["contrast_percentiles"]["1"])
    images = params["prepare_images"]
    frame = Frame(images["size_px"], images["channels"], images["fit"])
    pictures, used, bad = [], [], 0
    for path in files:
        try:
            pixels = read_picture(path)
            pictures.append(frame_image(pixels, frame))
            used.append((path, tell_changes(pixels.shape, frame)))
        except BadImageError as error:
            hint = "; set prepare_images.fit: resize, or scale it" if error.kind == "wrong_size" else ""
            print(escape(f"{path}: not used: {error}{hint}"))
            bad += 1
    if not pictures:
        return bad
    judges = DATA / "train_judges"
    results = Files(
        DATA / params["generator"] / "generator.safetensors", chosen, judges / "judge.safetensors",
        judges / "auditor.safetensors", DATA / "sample_populations",
    )  # fmt: skip
    atlas = open_atlas(results, _read_settings(params))
    if true_class is not None and true_class not in atlas.class_names:
        raise FlowError(f"--class: got '{true_class}'; allowed: {', '.join(atlas.class_names)}")
    label = None if true_class is None else list(atlas.class_names).index(true_class)
    explained = atlas.explain(pictures, label)
    names: set[str] = set()
    for row, (path, changes) in enumerate(used):
        told = {"file": path.name, "framing": changes} | describe(atlas, explained, row, units)
        print(escape(f"{path}: {tell(told)}"))
        stem = next(name for name in _list_names(path.stem) if name not in names)
        names.add(stem)
        _write(out, stem, told, pictures[row], explained, row)
    return bad


def _list_names(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))


def _write(out: Path, stem: str, told: dict[str, Any], picture: Any, explained: "Explained", row: int) -> None:
    from failure_atlas.core.files import write_json
    from failure_atlas.drawing.images import write_panels
    from failure_atlas.drawing.style import shorten

    near = told["reconstruction"]
    panels = [(picture, _list_said("picture", told["said"]))]
    panels.append((explained.shown.images[row], _list_said(f"as {shorten(near['class'])}", near["said"])))
    for name, failure in told["nearest_true_failure"].items():
        text = f"{shorten(name)}: no true failure found"
        if failure["found"]:
            text = _list_said(f"{shorten(name)} fails {failure['distance_std']:.1f} std away", failure["said"])
        panels.append((explained.failures[name].shown.images[row], text))
    out.mkdir(parents=True, exist_ok=True)
    title = f"{shorten(told['file'], 40)}: {tell_domain(told)}"
    write_panels(out / f"{stem}.atlas.png", panels, title)
    write_json(out / f"{stem}.atlas.json", told)


def describe(atlas: "Atlas", explained: "Explained", row: int, units: Units) -> dict[str, Any]:
    """All that is known of one picture, as it is written."""
    label, length = int(explained.true_class[row]), float(explained.found.length_std[row])
    rmse, names = float(explained.structure_rmse[row]), atlas.class_names
    far, contrast = rmse / units.structure_rmse, float(explained.contrast[row])
    domain = BLANK if contrast < units.contrast else TOO_FAR if far > 1 else IN_DOMAIN
    failures: dict[str, dict[str, Any]] = {}
    for name, failure in explained.failures.items():
        walk = failure.walk
        found = bool(walk.found[row])
        failures[name] = {"found": found, "steps": int(walk.steps[row])}
        if found:
            sure = failure.shown.softmax("auditor")[row, label] >= atlas.auditor.confidence
            failures[name] |= {
                "distance_std": float(walk.distance_std[row]),
                "auditor_confirms": bool(sure),
                "said": {who: _say(failure.shown, who, row, names) for who in failure.shown.logits},
            }
    return {
        "domain": domain,
        "contrast": contrast,
        "contrast_of_real_images": units.contrast,
        "said": {who: _say(explained.looked, who, row, names) for who in explained.looked.logits},
        "reconstruction": {
            "class": names[label],
            "structure_rmse": rmse,
            "distance_in_real_ones": far,
            "length_std": length,
            "said": {who: _say(explained.shown, who, row, names) for who in explained.shown.logits},
        },
        "nearest_true_failure": failures,
    }


def _say(shown: Any, who: str, row: int, names: Sequence[str]) -> dict[str, Any]:
    place = int(shown.predicted(who)[row])
    return {"class": names[place], "probability": float(shown.softmax(who)[row, place])}


def _list_said(head: str, said: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join([head, *(f"{who}: {each['class']} ({each['probability']:.2f})" for who, each in said.items())])


def tell(told: Mapping[str, Any]) -> str:
    """One picture in one line."""
    near = told["reconstruction"]
    said = ", ".join(f"{who} {each['class']} ({each['probability']:.2f})" for who, each in told["said"].items())
    failures = [
        f"{name} fails {each['distance_std']:.1f} std away (sees {each['said']['classifier']['class']})"
        if each["found"] else f"{name}: no true failure found"
        for name, each in told["nearest_true_failure"].items()
    ]  # fmt: skip
    framing = f"{' and '.join(told['framing']).replace('_', ' ')}; " if told["framing"] else ""
    return f"{framing}{said}; reconstructed as {near['class']}, {tell_domain(told)}; {'; '.join(failures)}"


def tell_domain(told: Mapping[str, Any]) -> str:
    """Whether the picture belongs to the world that is explained, in the units of real test images."""
    far, domain = told["reconstruction"]["distance_in_real_ones"], told["domain"]
    if domain == BLANK:
        least = f"99 % of real images have at least {told['contrast_of_real_images']:.2f}"
        return f"OUT OF THE DOMAIN: {BLANK}, {told['contrast']:.2f}; {least}"
    if domain == TOO_FAR:
        return f"OUT OF THE DOMAIN: {TOO_FAR}, {far:.1f} times as far as that of 99 % of real images"
    return f"{IN_DOMAIN} (reconstruction at {far:.2f} of the distance within which 99 % of real images lie)"


def _read_params() -> dict[str, Any]:
    from flows.evidence.reading import parse_yaml

    try:
        read = parse_yaml(PARAMS.read_bytes())
        for section in ("classifiers", "generator", "prepare_images", "invert_images", "find_failures"):
            read[section]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FlowError(f"{PARAMS}: cannot be read ({error}); check it with: python -m stages") from error
    return dict(read)


def _read_settings(params: Mapping[str, Any]) -> Any:
    from failure_atlas.inversion.picture import Settings

    inversion, search = params["invert_images"], params["find_failures"]
    try:
        own = {key: inversion[key] for key in OF_INVERSION} | {key: search[key] for key in OF_SEARCH}
        return Settings(**own, search_share=search["inside_share"])
    except KeyError as error:
        raise FlowError(f"{PARAMS}: lacks the key {error}; check it with: python -m stages") from error
