"""Batches on two workers of a real Dask scheduler, over this machine's loopback: the bytes of one process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core import pool
from failure_atlas.core.device import fix_kernels
from failure_atlas.core.pool import ADDRESS, Tally, compute_parts
from failure_atlas.populations.sampling import sample_in_parts
from failure_atlas.ranking.scores import difference_population, score_population
from failure_atlas.search import chains
from failure_atlas.search.domain import enter_latents, fit_domain
from failure_atlas.search.metering import Meter
from failure_atlas.search.nearest import Steering, walk_to_failures
from failure_atlas.statistics.agreement import draw_halves
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from failure_atlas.walks.kinds import search_along_dimensions
from failure_atlas.walks.single import Candidates
from failure_atlas.walks.space import StdSpace
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from flows.server import find_free_port
from tests.house import ROOT
from tests.refusing import refused

CLASSES, SAMPLES, BATCH = 3, 36, 16
STREAM = np.random.default_rng


class Crew:
    """A scheduler and its workers, processes of their own."""

    def __init__(self, workers: int) -> None:
        self.address = f"tcp://127.0.0.1:{find_free_port()}"
        self.scheduler = self._start("scheduler", "--port", self.address.split(":")[-1])
        self.workers = [self._start("worker", self.address, "--nthreads", "1", "--no-nanny") for _ in range(workers)]

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """Two workers of one thread each."""
    started = Crew(2)
    yield started
    started.kill()


@pytest.fixture
def taken(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The parts that workers have computed since; this process has the address."""
    parts, take = list[Any](), pool._Pool._take
    monkeypatch.setattr(pool._Pool, "_take", lambda *given: parts.append(take(*given)) or parts[-1])
    monkeypatch.setattr(pool, "WORKERS_SECONDS", 300.0)  # on a busy machine they start slowly
    monkeypatch.setenv(ADDRESS, crew.address)
    return parts


class Tiny:
    """A world of untrained networks, counted; the judge is not sure, so a low confidence finds failures."""

    def __init__(self, classify: torch.nn.Module | None = None) -> None:
        fix_kernels()
        torch.manual_seed(1)
        self.generator = Generator(
            GeneratorArchitecture(
                z_dim=4, w_dim=4, num_classes=CLASSES, mapping_layers=1, channels=(8, 8, 4), image_channels=1,
                resampling="bilinear",
            )
        ).requires_grad_(False)  # fmt: skip
        networks = {
            CLASSIFIER: classify or Classifier("plain", CLASSES, width=8),
            JUDGE: Classifier("residual", CLASSES, 8),
        }
        self.judge, self.meter = networks[JUDGE].requires_grad_(False), Meter()
        world = World(self.generator.synthesize, networks, BATCH, classes=CLASSES)
        self.world = self.meter.watch_world(world, self.generator.style_dimensions)
        self.latents = enter_latents(self.world, self.generator.map_styles)
        self.parts = list(sample_in_parts(self.generator, 1, SAMPLES, batch_size=BATCH))
        (self.population,) = self.parts
        self.domain = fit_domain(self.population.w, self.population.labels, 0.9)
        self.std = self.population.s.std(axis=0)

    def locate(self, z: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        return self.generator.map_latents(torch.from_numpy(z), torch.from_numpy(true_class)).numpy()


def sample(tiny: Tiny) -> Any:
    return list(sample_in_parts(tiny.generator, 1, SAMPLES, batch_size=BATCH))


def rank(tiny: Tiny) -> Any:
    made = tiny.population
    halves = draw_halves(made.labels, 2, STREAM(1))
    return score_population(tiny.world, made.s, made.labels, halves, noise=made.noise)


def rank_by_differences(tiny: Tiny) -> Any:
    made = tiny.population
    return difference_population(
        tiny.world, made.s, made.labels, tiny.std * (np.arange(len(tiny.std)) % 9 == 0), noise=made.noise, samples=12,
        step_std=0.1, split_halves=2, draw=STREAM(1), halve=STREAM(2),
    )  # fmt: skip


def walk(tiny: Tiny) -> Any:
    made = tiny.population
    space = StdSpace(tiny.world, made.s, made.labels, tiny.std, made.noise)
    shown = tiny.world.show(made.s, noise=made.noise)
    order = np.argsort(-tiny.std)[:2]
    candidates = Candidates(np.tile(order, (SAMPLES, 1)), np.tile(tiny.std[order], (SAMPLES, 1)))
    walks = search_along_dimensions(
        space, shown.score(made.labels), candidates, wanted=2, min_effect=0.0, grid_std=np.array([1.0, 30.0]),
        confidence=0.2,
    )  # fmt: skip
    return shown, walks, space.passes


def search(tiny: Tiny) -> Any:
    made = tiny.population
    steering = Steering(
        tiny.latents, [tiny.meter.watch(tiny.judge, torch.zeros(1, 1, 16, 16))], 0.4, 2.0, tiny.std, False
    )
    return walk_to_failures(
        steering, tiny.domain, made.w, made.labels, made.noise, confidence=0.335, step_std=0.3, most_steps=2,
        restart_steps=1, stream=STREAM,
    )  # fmt: skip


def chain(tiny: Tiny) -> Any:
    made = tiny.population
    return chains.chain_to_failures(
        tiny.latents, tiny.domain, tiny.locate, made.z, made.labels, made.noise, confidence=0.336, stream=STREAM
    )


def spell(value: Any) -> Any:
    """The bytes of all arrays in it, with their shapes, and all else that it holds."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if hasattr(value, "__dict__"):
        return spell(vars(value))
    if isinstance(value, dict):
        return {name: spell(each) for name, each in value.items()}
    return [spell(each) for each in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("run", [sample, rank, rank_by_differences, walk, search, chain])
def test_workers_give_the_bytes_of_one_process_and_count_the_same(
    run: Callable[[Tiny], Any], taken: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "MOST_STEPS", 2)
    with monkeypatch.context() as alone:
        alone.delenv(ADDRESS)
        tiny = Tiny()
        before = tiny.meter.count
        wanted, count = spell(run(tiny)), tiny.meter.count - before
    assert not taken
    assert spell(run(tiny)) == wanted
    assert tiny.meter.count - before == 2 * count
    assert len(taken) >= 3
    if run is not sample:
        assert count > 0


def test_a_network_that_was_trained_on_is_sent_anew(taken: list[Any]) -> None:
    layer = torch.nn.Linear(1, 1, bias=False).requires_grad_(False)

    def apply(number: float) -> float:
        return float(layer(torch.tensor([number])))

    for weight in (2.0, 3.0):
        layer.weight.fill_(weight)
        assert list(compute_parts(apply, [(1.0,), (2.0,)])) == [weight, 2 * weight]
    assert len(taken) == 4


def test_a_black_box_is_asked_in_this_process(taken: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def predict(images: np.ndarray) -> np.ndarray:
        asked.append(os.getpid())
        return images.reshape(len(images), -1)[:, :CLASSES]

    tiny = Tiny(BlackBox(predict, "box"))
    taken.clear()
    tiny.world.show(tiny.population.s)
    assert {*asked} == {os.getpid()}
    assert not taken


def test_parts_are_in_order_and_few_under_way_and_one_alone_is_not_sent(taken: list[Any]) -> None:
    given: list[int] = []

    def hand_out() -> Iterator[tuple[int]]:
        for number in range(20):
            given.append(number)
            yield (number,)

    def work(number: int) -> tuple[int, int]:
        time.sleep(0.02 * (number % 3))
        return number, os.getpid()

    results = compute_parts(work, hand_out())
    assert next(results)[0] == 0
    assert len(given) <= 2 * pool.AHEAD
    done = list(results)
    assert [number for number, _ in done] == list(range(1, 20))
    assert len({process for _, process in done} - {os.getpid()}) == 2
    taken.clear()
    assert list(compute_parts(work, [(1,)])) == [(1, os.getpid())]
    assert not taken


def test_a_mistake_on_a_worker_is_one_line(taken: list[Any]) -> None:
    def work(number: int) -> float:
        return 1 / number

    results = compute_parts(work, [(1,), (0,)])
    assert next(results) == 1
    refused("ZeroDivisionError: division by zero", next, results)


def test_a_worker_that_would_compute_something_else_refuses() -> None:
    refused(
        "a worker has other code, another PyTorch or another processor", pool.run_part, "01, 2.0, AVX2", 1, b"", b""
    )


def test_without_scheduler_or_worker_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(pool, "WORKERS_SECONDS", 0.5)
    parts = [(1.0,), (2.0,)]
    monkeypatch.setenv(ADDRESS, f"tcp://127.0.0.1:{find_free_port()}")
    refused("no Dask scheduler answers at tcp://127.0.0.1", list, compute_parts(abs, parts))
    monkeypatch.setenv(ADDRESS, "nonsense://")
    refused("no Dask scheduler answers at nonsense", list, compute_parts(abs, parts))
    empty = Crew(0)
    try:
        monkeypatch.setattr(pool, "CONNECT_SECONDS", 60)
        monkeypatch.setenv(ADDRESS, empty.address)
        refused(f"no worker at {empty.address} within 0.5 s", list, compute_parts(abs, parts))
    finally:
        empty.kill()


def test_tallies_of_one_process_are_its_own() -> None:
    tally = Tally()

    def count(number: int) -> int:
        tally.count += number
        return number

    assert list(compute_parts(count, [(1,), (2,)])) == [1, 2]
    assert tally.count == 3


def test_what_a_killed_worker_had_goes_to_the_other(crew: Crew, taken: list[Any], tmp_path: Path) -> None:
    """From here on workers are missing."""
    begun = tmp_path / "begun"

    def work(number: int) -> int:
        if number == 2 and not begun.exists():
            begun.write_text(str(os.getpid()))
            time.sleep(60)
        return number**2

    results = compute_parts(work, ((number,) for number in range(8)))
    assert next(results) == 0
    while not (begun.exists() and begun.read_text()):
        time.sleep(0.05)
    os.kill(int(begun.read_text()), signal.SIGKILL)
    assert list(results) == [number**2 for number in range(1, 8)]


def test_where_the_last_worker_or_the_scheduler_ends_it_is_one_line(
    crew: Crew, taken: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(pool, "ALONE_SECONDS", 0.5)
    results = compute_parts(abs, ((-number,) for number in range(1, 50)))
    assert next(results) == 1
    for process in crew.workers:
        process.kill()
    refused(f"no worker at {crew.address} for 0.5 s", list, results)
    results = compute_parts(abs, ((-number,) for number in range(1, 50)))
    crew.scheduler.kill()
    refused(f"the Dask scheduler at {crew.address} has ended", list, results)
