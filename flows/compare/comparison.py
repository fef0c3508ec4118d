"""Two runs side by side: what changed, which numbers moved and whether beyond their intervals, what follows."""

from flows.compare.code import compare_code
from flows.compare.differences import read_lock
from flows.compare.directions import compare_directions
from flows.compare.document import Section
from flows.compare.environments import compare_environments
from flows.compare.inputs import compare_inputs
from flows.compare.metrics import compare_metrics
from flows.compare.pairs import compare_pairs
from flows.compare.params import compare_params
from flows.compare.sources import LOCK, Source
from flows.compare.verdicts import compare_verdicts


def compare(old: Source, new: Source, *, show_all: bool = False) -> list[Section]:
    """The sections of the comparison; show_all: list the metrics that moved within their intervals, too."""
    locks = [read_lock(side.read_yaml(LOCK)) for side in (old, new)]
    return [
        compare_verdicts(old, new),
        compare_metrics(old, new, show_all=show_all),
        compare_pairs(new, *locks),
        compare_directions(old, new, *locks),
        compare_inputs(old, new, *locks),
        compare_params(old, new, *locks),
        compare_code(old, new, *locks),
        compare_environments(old, new),
    ]
