"""What differs between machines and packages."""

from flows.compare.differences import diff_flat, flatten
from flows.compare.document import Section
from flows.compare.sources import Source
from flows.compare.words import tell_change, tell_value

ENVIRONMENT = "environment.json"


def compare_environments(old: Source, new: Source) -> Section:
    """What differs between machines and packages; only bundles record them."""
    section = Section("Environment")
    if not (old.has_environment and new.has_environment):
        without = [side.name for side in (old, new) if not side.has_environment]
        section.say(f"Not compared, since only evidence bundles record it; no bundle: {', '.join(without)}.")
        return section
    found = [side.find(ENVIRONMENT) for side in (old, new)]
    if not all(found):
        section.say(f"Not compared: a bundle without {ENVIRONMENT}.")
        return section
    sides = [flatten(side.read_json(paths[0])) for side, paths in zip((old, new), found, strict=True)]
    changes = diff_flat(*sides)
    section.say(f"Entries that changed: {len(changes)}." if changes else f"The same, in all {len(sides[1])} entries.")
    section.show(("entry", "A", "B"), (tell_change(each, tell_value) for each in changes))
    return section
