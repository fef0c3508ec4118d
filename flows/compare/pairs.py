"""Paired differences: whether both sides rest on one population, and what was measured on it."""

from flows.compare.differences import Locked, Number, hash_of
from flows.compare.document import Section
from flows.compare.metrics import read_all_numbers
from flows.compare.sources import Source
from flows.compare.words import tell_count, tell_hash, tell_interval

POPULATION = "population.zarr"
PAIRED = "paired"


def compare_pairs(new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Paired differences: is the population the same, and what the new side measured on its own one."""
    section = Section("Paired comparison")
    frozen = [hash_of(lock, POPULATION) for lock in (old_lock, new_lock)]
    if None in frozen:
        section.say("At least one side records no population.")
    elif frozen[0] == frozen[1]:
        section.say(
            f"Both rest on the same population ({tell_hash(frozen[0])}): what moved on it is the classifiers', not the "
            "sample's."
        )
    else:
        section.say(
            f"The populations differ ({tell_hash(frozen[0])} and {tell_hash(frozen[1])}): what moved may be the "
            "sample's as well as the classifiers'."
        )
    paired = {key: number for key, number in read_all_numbers(new).items() if f".{PAIRED}." in f".{_key_of(key)}"}
    if paired:
        section.say("Differences between classifiers on the same samples of one population, as measured in B:")
        section.show(
            ("metric", "B", "n", "interval"),
            ((key, tell_interval(number), tell_count(number), _tell_zero(number)) for key, number in paired.items()),
        )
    return section


def _tell_zero(number: Number) -> str:
    if number.low is None or number.high is None:
        return "unknown"
    if number.low > 0:
        return "above 0"
    return "below 0" if number.high < 0 else "holds 0"


def _key_of(name: str) -> str:
    return name.partition(": ")[2]
