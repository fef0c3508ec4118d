"""Whether each answer of a classifier is a number."""

import torch

from stages.common.errors import StageError

REMEDY = "correct its code (a logarithm or root of 0?) or input.range, input.mean and input.std"


class UnfiniteAnswerError(StageError):
    """Some answers of a classifier are NaN or infinite; rows: of the batch, in order."""

    def __init__(self, name: str, rows: list[int], count: int) -> None:
        super().__init__(
            f"{name}: its answer to {len(rows)} of {count} images is not finite (NaN or infinite); {REMEDY}, and bring "
            "it again with: dvc repro bring_classifiers"
        )
        self.rows = rows


def check_finite(answer: torch.Tensor, name: str) -> None:
    """Raise UnfiniteAnswerError if an answer [N, classes] holds a NaN or an infinity; name: of the classifier."""
    finite = answer.detach().isfinite()
    if not bool(finite.all()):
        raise UnfiniteAnswerError(name, (~finite.all(1)).nonzero().flatten().tolist(), len(answer))
