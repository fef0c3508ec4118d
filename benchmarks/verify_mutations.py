"""A thousand spoilt bundles, of which `failure-atlas verify` may accept none: how long it takes, and how much memory.

The bundle is that of a small DVC project made for it; many of the mutations are signed with its own key.
"""

import random
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import run_benchmark
from tests.flows.evidence.conftest import make_bundles
from tests.flows.evidence.forging import BYTES, SECONDS, call_verify, mutate


def main(
    count: Annotated[int, typer.Option(help="How many mutations.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the mutations.")] = 15,
) -> None:
    """Spoil one bundle again and again, and verify it each time in a process of its own."""
    draw = random.Random(seed)  # noqa: S311  repeatable on purpose
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        made = make_bundles(Path(folder))
        honest = call_verify(made.newest, made.key)
        bundle = Path(folder) / "spoilt" / made.newest.name
        for _ in range(count):
            shutil.rmtree(bundle.parent, ignore_errors=True)
            shutil.copytree(made.newest, bundle)
            told = mutate(bundle, made.key, draw)
            outcomes.append((call_verify(bundle, made.key), told))
    print(f"honest bundle: {'accepted' if honest.code == 0 else 'REFUSED'} in {honest.seconds:.2f} s")
    accepted = [told for outcome, told in outcomes if outcome.code == 0]
    broken = [f"{told}: {outcome.output[:200]}" for outcome, told in outcomes if outcome.code not in (0, 1)]
    slowest = max(outcome.seconds for outcome, _ in outcomes)
    peak = max(outcome.peak for outcome, _ in outcomes)
    print(
        f"{count} mutations: {len(accepted)} accepted, {count - len(accepted) - len(broken)} refused, "
        f"{len(broken)} ended otherwise; slowest {slowest:.2f} s, peak {peak / 2**20:.0f} MiB"
    )
    for line in (*accepted, *broken):
        print(f"  {line}")
    if accepted or broken or honest.code or slowest > SECONDS or peak > BYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    run_benchmark(main)
