"""Getting one file over HTTP: mirrors, retries, resuming where a connection broke, progress."""

import time
import zlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress

BLOCK_BYTES = 1 << 16
RANGE_NOT_SATISFIABLE = 416
BUSY = (408, 429)  # worth another attempt, unlike the other mistakes that a server finds in a request


def download(
    urls: Sequence[str],
    target: Path,
    check: Callable[[Path], object],
    *,
    attempts: int = 5,
    timeout_seconds: float = 30.0,
    pause_seconds: float = 1.0,
    folder_variable: str = "MNIST_DIR",
) -> None:
    """Fetch `target` from the first mirror that serves it whole.

    check: called with the fetched file before it takes its name; raises StageError if the content is wrong.
    attempts: per mirror; the pause between them doubles.  What a broken connection brought stays in a file beside the
    target, also after a kill, and the next attempt asks only for the rest.
    folder_variable: of the environment, which names a folder with such files, for the message.
    Raises StageError that lists each mirror with its last error.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        # One file per mirror: their gzip bytes differ, so that pieces must not be mixed.
        part = target.with_name(f".{target.name}.{zlib.crc32(url.encode()):08x}.part")
        failure = _try_mirror(url, part, check, attempts, timeout_seconds, pause_seconds)
        if failure is None:
            part.replace(target)
            return
        failures.append(f"{url}: {failure}")
    raise StageError(
        f"{target.name}: could not be downloaded ({'; '.join(failures)}); check the connection and run again, "
        f"or set {folder_variable} to a folder that holds the file"
    )


def _try_mirror(
    url: str, part: Path, check: Callable[[Path], object], attempts: int, timeout_seconds: float, pause_seconds: float
) -> str | None:
    """Fetch into `part` and check it; returns None, or the last error once the attempts are used up."""
    failure = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause_seconds * 2 ** (attempt - 1))
        resumed = part.exists()
        try:
            fetch_rest(url, part, timeout_seconds)
            check(part)
        except StageError as error:
            failure = str(error)
            part.unlink()
            if not resumed:
                return failure  # whole and wrong: this mirror holds something else
        except HTTPError as error:
            failure = f"HTTP {error.code} {error.reason}"
            error.close()
            if error.code == RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)  # longer than the mirror's file
            elif error.code < 500 and error.code not in BUSY:
                return failure
        except (OSError, HTTPException) as error:
            failure = str(error) or type(error).__name__
        else:
            return None
    return failure


def fetch_rest(url: str, part: Path, timeout_seconds: float) -> None:
    """Append to `part` what it lacks of the file at `url`; start over where the server cannot resume.

    timeout_seconds: to connect and for each block.  Raises OSError or HTTPException if the connection fails or ends
    early; what came until then is kept.
    """
    offset = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={offset}-"} if offset else {})  # noqa: S310 - constant mirrors
    with urlopen(request, timeout=timeout_seconds) as response:  # noqa: S310
        if offset and response.status != 206:
            offset = 0
        length = response.headers.get("Content-Length")
        total = offset + int(length) if length else 0
        name = url.rsplit("/", 1)[-1]
        with part.open("ab" if offset else "wb") as file, Progress(name, total, "B", done=offset) as progress:
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                progress.advance(len(block))
    if total and progress.done != total:
        raise ConnectionError(f"connection closed after {progress.done:,} of {total:,} bytes")
