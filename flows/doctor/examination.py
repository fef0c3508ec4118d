"""All that is looked at, in one list."""

from pathlib import Path

from flows.doctor.cache import check_cache
from flows.doctor.disk import FREE_BYTES, check_disk
from flows.doctor.finding import Finding
from flows.doctor.leftovers import check_leftovers
from flows.doctor.locks import check_locks
from flows.doctor.partial_files import check_partial_files
from flows.doctor.project_files import check_files
from flows.doctor.versions import check_versions, installed_versions


def examine(root: Path, needed_bytes: int = FREE_BYTES) -> list[Finding]:
    """All findings, in the order in which they are best mended; root: of the project.

    needed_bytes: free disk below which a run may not end.
    """
    return [
        *check_versions(installed_versions()),
        *check_disk(root, needed_bytes),
        *check_files(root),
        *check_locks(root),
        *check_partial_files(root),
        *check_leftovers(root),
        *check_cache(root),
    ]
