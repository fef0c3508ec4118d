"""DVC's own reading of the dvc.yaml of the current folder, as JSON on standard output; run in a process of its own.

The file is a stranger's: templates can blow up, so memory and time have limits here, and nothing but dvc.yaml and
params.yaml is opened.
"""

import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

MEMORY_BYTES = 768 << 20
CPU_SECONDS = 4
OUTPUT_BYTES = 8 << 20


def main() -> None:
    """Print stage -> its definition with all templates filled in; a message and exit code 1 if DVC cannot."""
    with suppress(ValueError, OSError):  # macOS knows no limit of memory
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    from dvc.exceptions import DvcException
    from dvc.fs import localfs
    from dvc.parsing import DataResolver
    from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
    from dvc.utils.serialize import parse_yaml
    from voluptuous import Invalid

    try:
        read = COMPILED_MULTI_STAGE_SCHEMA(parse_yaml(Path("dvc.yaml").read_text(encoding="utf-8"), "dvc.yaml"))
        found = DataResolver(SimpleNamespace(fs=localfs, config={}), "", read).resolve()
        text = json.dumps(found["stages"])
    except (DvcException, Invalid, ValueError, TypeError, KeyError, AssertionError) as error:
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split())[:300])
    except (MemoryError, RecursionError):
        sys.exit("more than is read here")
    if len(text) > OUTPUT_BYTES:
        sys.exit("more than is read here")
    print(text)


if __name__ == "__main__":
    main()
