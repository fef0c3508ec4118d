"""Which data from outside changed, and which results with it."""

from flows.compare.differences import Locked, diff_flat
from flows.compare.document import Section
from flows.compare.sources import LOCK, Source
from flows.compare.words import tell_change, tell_hash


def compare_inputs(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which data from outside changed, and which results with it."""
    section = Section("Inputs and results")
    for side, lock in ((old, old_lock), (new, new_lock)):
        if not lock.results:
            section.say(f"{side.name} holds no {LOCK}, or an empty one.")
    inputs = diff_flat(old_lock.inputs, new_lock.inputs)
    section.say(
        f"Inputs from outside that changed: {len(inputs)}."
        if inputs
        else f"No input from outside changed, of {len(new_lock.inputs)} that {LOCK} records; files that params pin by "
        "their hash stand under Params."
    )
    section.show(("input", "A", "B"), (tell_change(each, tell_hash) for each in inputs))
    results = diff_flat(old_lock.results, new_lock.results)
    section.say(f"{len(results)} of {len({**old_lock.results, **new_lock.results})} recorded results have other bytes.")
    section.show(("result", "A", "B"), (tell_change(each, tell_hash) for each in results))
    return section
