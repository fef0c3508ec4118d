"""What is wrong with single images: which kinds there are, how copies are found, and the table that lists them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import Kind

Action = Literal["kept", "dropped", "stopped"]

KINDS: tuple[Kind, ...] = get_args(Kind)
COLUMNS = ["split", "image", "class", "problem", "detail", "action"]
SHOWN = 3


class Label(NamedTuple):
    """Where one image stands: its split ('' where the seed is still to split), its name and its class."""

    split: str
    name: str
    class_name: str

    def __str__(self) -> str:
        return f"{self.split} image {self.name}" if self.split else self.name


class Problem(NamedTuple):
    """One image that something is wrong with, and what is done about it."""

    image: Label
    kind: Kind
    detail: str
    action: Action = "dropped"


def find_copies(images: np.ndarray, labels: Sequence[Label]) -> dict[int, Problem]:
    """Images whose pixels occur before: by index, what is wrong with each; images uint8 [N, ...], labels [N].

    conflict: the copies are not all of one class; each of them is listed, for nobody knows which class is right.
    leak: a training image that is also a test image.  duplicate: one more of its class in its split; of test images
    and of training images that leak nowhere the first is kept.  Every action is 'dropped'.
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[blake2b(image.tobytes(), digest_size=16).digest()].append(index)
    found: dict[int, Problem] = {}
    for members in groups.values():
        classes: dict[str, Label] = {}  # the first copy of each class, and of each split
        splits: dict[str, Label] = {}
        for index in members:
            classes.setdefault(labels[index].class_name, labels[index])
            splits.setdefault(labels[index].split, labels[index])
        for index in members:
            own = labels[index]
            other = next((label for name, label in classes.items() if name != own.class_name), None)
            if other is not None:
                detail = f"same pixels as {other}, which is of class {other.class_name!r}"
                found[index] = Problem(own, "conflict", detail)
            elif own.split == "train" and "test" in splits:
                found[index] = Problem(own, "leak", f"same pixels as the test image {splits['test'].name}")
            elif own is not splits[own.split]:
                found[index] = Problem(own, "duplicate", f"same pixels as {splits[own.split].name}")
    return dict(sorted(found.items()))


def with_action(problems: Sequence[Problem], action: Action) -> list[Problem]:
    """The same problems, something else being done about them."""
    return [problem._replace(action=action) for problem in problems]


def count_problems(problems: Sequence[Problem]) -> dict[str, int]:
    """How many there are of each kind, those without any included."""
    counts = Counter(problem.kind for problem in problems)
    return {kind: counts[kind] for kind in KINDS}


def tabulate_problems(problems: Sequence[Problem]) -> pd.DataFrame:
    """One row per problem."""
    return pd.DataFrame([(*image, *rest) for image, *rest in problems], columns=COLUMNS)


def refuse_problems(problems: Sequence[Problem], total: int, folder: Path, table: Path) -> None:
    """StageError with the first few problems and how to go on; table: where all of them stand.  None: nothing."""
    if not problems:
        return
    counts = count_problems(problems)
    way_out = " (too large ones: raise prepare_images.size_px, or set prepare_images.fit: resize)"
    raise StageError(
        f"{folder}: {len(problems)} of {total} images have a problem: "
        f"{', '.join(f'{count} {kind}' for kind, count in counts.items() if count)}. First: "
        f"{'; '.join(f'{each.image}: {each.kind} ({each.detail})' for each in problems[:SHOWN])}. All are listed in "
        f"{table}; mend them{way_out * bool(counts['wrong_size'])}, or set prepare_images.on_problem: drop to go on "
        "without them"
    )


def check_class_sizes(counts: dict[str, tuple[int, int]], fewest_train: int, fewest_test: int) -> None:
    """StageError that names the classes with too few images; counts: class -> training and test images."""
    small = {name: held for name, held in counts.items() if held[0] < fewest_train or held[1] < fewest_test}
    if small:
        listed = [f"{name!r} ({train} training, {test} test)" for name, (train, test) in list(small.items())[:SHOWN]]
        more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
        raise StageError(
            f"{len(small)} of {len(counts)} classes have too few images: {', '.join(listed)}{more}; each needs at "
            f"least {fewest_train} for training and {fewest_test} for testing: add images, leave the class out, or, "
            "where the seed splits, raise prepare_images.test_fraction"
        )
