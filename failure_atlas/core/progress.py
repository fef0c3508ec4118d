"""Progress of long work: a bar with rate and time left in a terminal, sparse log lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

LOG_INTERVAL_SECONDS = 15.0


class Progress:
    """Counts work done towards a total and shows it on stderr.

    Use as a context manager: `with Progress("training", total, "img") as progress: progress.advance(32)`.
    """

    def __init__(self, title: str, total: int, unit: str, *, done: int = 0) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = self._first = done
        self._started = self._logged = time.monotonic()
        self._note = ""
        self._bar = (
            tqdm(total=total, initial=done, desc=title, unit=unit, unit_scale=True, dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Add work done; note: a short text of current values, shown beside the count."""
        self.done += amount
        self._note = note or self._note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(amount)
        elif time.monotonic() - self._logged >= LOG_INTERVAL_SECONDS:
            self._log()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            self._log()

    def _log(self) -> None:
        self._logged = now = time.monotonic()
        rate = (self.done - self._first) / max(now - self._started, 1e-9)
        remaining = max(self.total - self.done, 0)
        left = f"{remaining / rate:.0f}" if rate > 0 else "?" if remaining else "0"
        note = f", {self._note}" if self._note else ""
        count = f"{self.done:,}/{self.total:,} {self.unit}"
        pace = f"{rate:,.1f} {self.unit}/s, {left} s left"
        print(f"{self.title}: {count}, {pace}{note}", file=sys.stderr, flush=True)
