"""Ways to spoil a bundle, with and without its signer's key, and `verify` under limits of time and memory."""

import hashlib
import json
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows.cli import main
from flows.evidence.attestation import ENVELOPE
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import list_all, sign_again

SECONDS = 10.0  # of the processor, for one verification
BYTES = 1 << 30
RECORDS = ("dvc.lock", "dvc.yaml", "params.yaml")
Edit = Callable[[Any], Any]


@dataclass(frozen=True)
class Outcome:
    """How one verification ended.  seconds: of the processor, its children included.  peak: bytes of memory, beyond
    those that the process had when it was forked: they are this one's, which grow from test to test."""

    code: int
    output: str
    seconds: float
    peak: int


def run_verify(folder: Path, *arguments: str, command: str = "verify") -> Outcome:
    """The command line in a copy of this process, under limits: as by itself, without seconds of imports."""

    def act() -> int:
        os.chdir(folder)
        sys.argv = ["failure-atlas", command, *arguments]
        main()
        return 0

    return _run_limited(act)


def call_verify(bundle: Path, key: Ed25519PrivateKey) -> Outcome:
    """The library in a copy of this process, under limits."""

    def act() -> int:
        verdict = verify(bundle, [key.public_key()])
        print("\n".join(map(str, verdict.problems)))
        return 0 if verdict.accepted else 1

    return _run_limited(act)


def _run_limited(act: Callable[[], int]) -> Outcome:
    size, resident = (
        int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in Path("/proc/self/statm").read_text().split()[:2]
    )
    with tempfile.TemporaryFile() as said:
        number = os.fork()
        if number == 0:
            code: Any = 3
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
                resource.setrlimit(resource.RLIMIT_AS, (size + 4 * BYTES, size + 4 * BYTES))
                for stream in (1, 2):
                    os.dup2(said.fileno(), stream)
                sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
                code = act()
            except SystemExit as ended:
                code = ended.code or 0
            except BaseException as error:  # noqa: BLE001  whatever it is, the caller is to see it
                print(f"Traceback {error!r}")
            finally:
                sys.stdout.flush()
                os._exit(code)
        return _wait(number, said, resident)


def _wait(number: int, said: Any, resident: int) -> Outcome:
    """How a child ended; code -9 and the like where a limit ended it.  resident: bytes that it had at its start."""
    deadline = time.monotonic() + 120
    while True:
        ended, status, used = os.wait4(number, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(number, signal.SIGKILL)
        time.sleep(0.005)
    said.seek(0)
    peak = used.ru_maxrss * 1024 - resident
    return Outcome(os.waitstatus_to_exitcode(status), said.read().decode(), used.ru_utime + used.ru_stime, peak)


def edit_json(bundle: Path, name: str, edit: Edit) -> None:
    """Change a JSON file; the edit changes what it gets, or returns something else."""
    read = json.loads((bundle / name).read_bytes())
    changed = edit(read)
    (bundle / name).write_text(json.dumps(read if changed is None else changed))


def forge(bundle: Path, key: Ed25519PrivateKey, name: str, data: bytes | Edit) -> None:
    """Put other bytes in the place of a copy and make all that tells of them agree: inventory, dvc.lock, signature.

    data: or, of a JSON file, an edit.
    """
    if not isinstance(data, bytes):
        read = json.loads((bundle / name).read_bytes())
        changed = data(read)
        data = json.dumps(read if changed is None else changed).encode()
    old = hashlib.md5((bundle / name).read_bytes()).hexdigest()  # noqa: S324  as DVC
    new = hashlib.md5(data).hexdigest()  # noqa: S324
    (bundle / name).write_bytes(data)
    held = {"sha256": hashlib.sha256(data).hexdigest(), "md5": new, "size": len(data)}
    edit_json(bundle, "inventory.json", lambda read: read["files"].update({name: held}))
    lock = bundle / "dvc.lock"
    lock.write_text(lock.read_text().replace(old, new))
    sign_again(bundle, key)


def mutate(bundle: Path, key: Ed25519PrivateKey, draw: random.Random) -> str:
    """Spoil a bundle in one of many ways, sign it, and say which; each must be refused.

    What is not signed is told by its hash, whatever it is. Left out is what nobody can see in a bundle alone, signed
    by its own maker: environment.json, README.md, times and reasons in stages.json, sizes, words of the report and
    descriptions of dvc.yaml; and metrics and tables that were changed together with all that follows from them.
    """
    return draw.choice([_spoil_copy, _spoil_record])(bundle, key, draw)


def _spoil_copy(bundle: Path, key: Ed25519PrivateKey, draw: random.Random) -> str:
    """One value of a file that the run wrote, signed by the maker; half of the time all records agree with it."""
    name = draw.choice(["acceptance/gates.json", "acceptance/metrics.json", "measure/metrics.json"])
    read = json.loads((bundle / "data" / name).read_bytes())
    told = _spoil_value(read, draw)
    if draw.random() < 0.5:
        forge(bundle, key, f"data/{name}", json.dumps(read).encode())
        return f"forge {name} {told}"
    (bundle / "data" / name).write_text(json.dumps(read))
    sign_again(bundle, key)
    return f"sign {name} {told}"


def _spoil_record(bundle: Path, key: Ed25519PrivateKey, draw: random.Random) -> str:
    """What tells of the run, signed by the maker: a value, a word, or a file that is not there."""
    path = bundle / draw.choice(["inventory.json", "inventory.json", "stages.json", *RECORDS])
    if draw.random() < 0.2:
        path = draw.choice([path for path in list_all(bundle) if path.name != ENVELOPE])
        path.unlink()
        told = "dropped"
    elif path.name == "inventory.json" and draw.random() < 0.5:
        read = json.loads(path.read_bytes())
        part = {name: read[name] for name in ("stages", "metrics")}
        told = _spoil_value(part, draw)
        path.write_text(json.dumps({"files": read["files"], **part}))
    else:
        text = path.read_text()
        # Within words that say something: commands, paths, hashes; and values, where they are no sizes or times.
        words = r"work/\w+|data/\w+|[0-9a-f]{32,}" + (r"|: [0-9.]+(?=[,}])" if path.name in RECORDS else "")
        start, end = draw.choice([match.span() for match in re.finditer(words, text)])
        told = f"{text[start:end]} at {start}"
        path.write_text(text[: end - 1] + ("1" if text[end - 1] != "1" else "2") + text[end:])
    sign_again(bundle, key)
    return f"sign {path.name} {told}"


def _spoil_value(read: Any, draw: random.Random) -> str:
    """Change, remove or replace one value somewhere in parsed JSON."""
    node, path = read, ""
    while True:
        key = draw.choice(sorted(node)) if isinstance(node, dict) else draw.randrange(len(node))
        path += f".{key}"
        inner = node[key]
        if not isinstance(inner, (dict, list)) or not inner or draw.random() < 0.2:
            break
        node = inner
    choices = [None, 10**30, -1, 0.123456789, "pass", "x" * 1000, [], {}, [[[]]], True, "\ud800"]
    others = [each for each in choices if each != inner or type(each) is not type(inner)]
    if isinstance(node, dict) and draw.random() < 0.2:
        del node[key]
    else:
        node[key] = draw.choice(others)
    return path
