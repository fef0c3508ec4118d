"""What a classifier learns from, mixed from several sets of images."""

from collections.abc import Mapping, Sequence

import numpy as np

from failure_atlas.images.image_set import ImageSet

Mixture = Sequence[tuple[str, float]]  # names of sets, and the share of the images shown that is of each


def mix(mixture: Mixture, sources: Mapping[str, ImageSet], shown: int, random: np.random.Generator) -> ImageSet:
    """As many images as are shown in one training, so that each is shown once; shares are rounded to whole images.

    Within a set all images come equally often, or once more than others.  A set of share 0 has no part.
    Raises ValueError if the shares do not add up to 1, or a set that has a share is empty.
    """
    ends = np.round(np.cumsum([share for _, share in mixture]) * shown).astype(int)
    if not len(ends) or abs(sum(share for _, share in mixture) - 1) > 1e-6:
        raise ValueError(f"shares {[share for _, share in mixture]} do not add up to 1")
    chosen: list[tuple[ImageSet, np.ndarray]] = []
    for (name, _), count in zip(mixture, np.diff(ends, prepend=0), strict=True):
        part = sources[name]
        if count and not len(part.labels):
            raise ValueError(f"{name} holds no images")
        rounds = -(-count // max(len(part.labels), 1))
        rows = [random.permutation(len(part.labels)) for _ in range(rounds)]
        chosen.append((part, np.concatenate([*rows, np.empty(0, np.int64)])[:count].astype(np.int64)))
    return ImageSet(
        np.concatenate([part.images[rows] for part, rows in chosen]),
        np.concatenate([part.labels[rows] for part, rows in chosen]),
    )
