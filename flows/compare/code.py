"""Which modules that made the results changed, and whether the results are older than the code."""

import hashlib

from flows.compare.differences import Locked, diff_flat
from flows.compare.document import Section
from flows.compare.sources import LOCK, Source
from flows.compare.words import tell_change, tell_hash, tell_value


def compare_code(old: Source, new: Source, old_lock: Locked, new_lock: Locked) -> Section:
    """Which modules that made the results changed, which commands, and whether the results are older than the code."""
    section = Section("Code")
    code = diff_flat(old_lock.code, new_lock.code)
    section.say(
        f"Modules that the results were made with and that changed: {len(code)}."
        if code
        else f"No module that the results were made with changed, of {len(new_lock.code)} that {LOCK} records."
    )
    section.show(("module", "A", "B"), (tell_change(each, tell_hash) for each in code))
    commands = diff_flat(old_lock.commands, new_lock.commands)
    section.show(("command of stage", "A", "B"), (tell_change(each, tell_value) for each in commands))
    for side, lock in ((old, old_lock), (new, new_lock)):
        newer = [path for path, recorded in lock.code.items() if _is_newer(side, path, recorded)]
        if newer:
            section.say(f"{side.name}: its results were made with other versions of {', '.join(newer)}.")
    return section


def _is_newer(side: Source, path: str, recorded: str) -> bool:
    """Whether a module is another than the one that made the results; a bundle need not hold it."""
    content = side.read(path)
    return content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != recorded
