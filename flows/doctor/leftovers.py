"""Results that no stage makes any more, in a folder on which a stage depends as a whole."""

from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.dag import tell
from flows.doctor.finding import Finding, Level


def check_leftovers(root: Path) -> Iterator[Finding]:
    """Folders of results whose entry is gone, such as a classifier that was under test.

    They count among what later stages depend on, so that DVC calls those changed, and evidence would list them.
    """
    try:
        with Repo(str(root)) as repo:
            stages = list(repo.index.stages)
            outs = {Path(out.fs_path) for stage in stages for out in stage.outs}
            needed = {Path(dep.fs_path) for stage in stages for dep in stage.deps if dep.is_in_repo}
    except DvcException as error:
        yield Finding(Level.NOTE, f"results that no stage makes were not looked for: {tell(error)}")
        return
    made = outs | {above for out in outs for above in out.parents}
    shared = sorted(path for path in needed & made - outs if path.is_dir())
    left = [child for path in shared for child in sorted(path.iterdir()) if child.is_dir() and child not in made]
    for path in left:
        yield Finding(
            Level.WRONG,
            f"{path.relative_to(root)}: made by no stage now, but stages depend on {path.parent.relative_to(root)}",
            "failure-atlas doctor --repair moves it aside",
            (path,),
        )
    if not left:
        yield Finding(Level.GOOD, "no results without a stage")
