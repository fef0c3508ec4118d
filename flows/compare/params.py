"""Which params changed, and whether they are those that the results were made with."""

from flows.compare.differences import Locked, diff_flat, flatten
from flows.compare.document import Section
from flows.compare.sources import PARAMS, Source
from flows.compare.words import tell_change, tell_value


def compare_params(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which params changed, and whether they are those that the results were made with."""
    section = Section("Params")
    sides = [flatten(side.read_yaml(PARAMS)) for side in (old, new)]
    changes = diff_flat(*sides)
    section.say(f"Params that changed: {len(changes)}." if changes else f"No param changed ({PARAMS}).")
    section.show(("param", "A", "B"), (tell_change(each, tell_value) for each in changes))
    for side, params, lock in zip((old, new), sides, (old_lock, new_lock), strict=True):
        newer = [each.key for each in diff_flat(lock.params, params) if each.key in lock.params]
        if newer:
            section.say(f"{side.name}: its results were made with other values of {', '.join(newer)}.")
    return section
