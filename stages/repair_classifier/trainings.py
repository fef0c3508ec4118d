"""The trainings: each mixture with each seed, as many at once as there are cores, each on one of them."""

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from failure_atlas.classifiers.evaluation import predict
from failure_atlas.classifiers.networks import Classifier, save_classifier
from failure_atlas.classifiers.training import shard_workers, train
from failure_atlas.core.computing import count_cores
from failure_atlas.core.device import choose_device
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.images.image_set import ImageSet
from failure_atlas.repair.mixture import Mixture, mix
from stages.common.classifier_params import TrainClassifierParams

KIND = "answers of a repaired classifier"
MOST_PROCESSES = 16  # each holds all images


@dataclass(frozen=True)
class Job:
    """One training.  asked: names of the sets that the trained network reads.  keep: its weights, too."""

    mixture: Mixture
    seed: int
    asked: tuple[str, ...]
    keep: bool = False


class Trainer:
    """Trains from named sets of images, and asks about others; what is done is kept until the stage is.

    sources: to learn from.  tests: images to be read, uint8 [N, C, H, W].  unfinished: a folder, from which a run that
    was killed goes on.
    """

    def __init__(
        self, recipe: TrainClassifierParams, classes: int, sources: Mapping[str, ImageSet],
        tests: Mapping[str, np.ndarray], unfinished: Path,
    ) -> None:  # fmt: skip
        self.recipe, self.classes, self.sources, self.tests = recipe, classes, dict(sources), dict(tests)
        self.unfinished = unfinished
        content = [each.images for each in sources.values()] + [each.labels for each in sources.values()]
        names = [*sources, *tests, recipe.model_dump_json(), torch.__version__]
        state = hashlib.sha256(repr(names).encode())
        for array in (*content, *tests.values()):
            state.update(np.ascontiguousarray(array).tobytes())
        self.state = state.hexdigest()

    def renew(self, sources: Mapping[str, ImageSet], tests: Mapping[str, np.ndarray]) -> "Trainer":
        """The same recipe with other images."""
        return Trainer(self.recipe, self.classes, sources, tests, self.unfinished)

    def train_all(self, jobs: Sequence[Job], title: str) -> list[dict[str, np.ndarray]]:
        """What each trained network reads in the sets that it was asked about: class indices, int64 [N]."""
        self.unfinished.mkdir(parents=True, exist_ok=True)
        # Of equal jobs one is trained: two processes must not write one file.
        waiting = {place: job for job in jobs if not (place := self.place(job)).is_file()}
        shown = self.recipe.training_images
        with Progress(title, len(jobs) * shown, "img", done=(len(jobs) - len(waiting)) * shown) as progress:
            for _ in self._run_all(waiting):
                progress.advance(shown)
        return [self._read(job) for job in jobs]

    def _run_all(self, waiting: Mapping[Path, Job]) -> Iterator[None]:
        """Several at once in processes of their own, one after the other in this one; on one thread each time."""
        count = min(count_cores() if choose_device().type == "cpu" else 1, len(waiting), MOST_PROCESSES)
        if count > 1:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(count, context, initializer=_open, initargs=(self,)) as pool:
                yield from pool.map(_train, waiting.values(), waiting)
            return
        with shard_workers():
            for place, job in waiting.items():
                self.run(job, place)
                yield

    def place(self, job: Job) -> Path:
        """Where the answers of a training are kept: its name tells all that they depend on."""
        told = repr((self.state, tuple(job.mixture), job.seed, job.asked, job.keep))
        return self.unfinished / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.safetensors"

    def find_weights(self, job: Job) -> Path:
        """The trained network of a job that keeps it."""
        return self.place(job).with_suffix(".classifier.safetensors")

    def _read(self, job: Job) -> dict[str, np.ndarray]:
        tensors = load_tensors(self.place(job), KIND)[0]
        return {name: tensors[name].numpy().astype(np.int64) for name in job.asked}

    def run(self, job: Job, place: Path) -> None:
        """Train one network, and write what it reads."""
        recipe, names = self.recipe, ("repair_classifier", "training")
        learned = mix(job.mixture, self.sources, recipe.training_images, numpy_stream(job.seed, *names, "mixture"))
        network = Classifier(recipe.network, self.classes, recipe.width, learned.images.shape[1])
        # The same weights and the same order to begin with in all mixtures, so that pairs differ by what was learned.
        train(
            network, learned, recipe, seed=job.seed, names=names, key="repair_classifier", device=choose_device(),
        )  # fmt: skip
        read = {name: torch.from_numpy(predict(network, self.tests[name]).argmax(axis=1)) for name in job.asked}
        if job.keep:
            save_classifier(place.with_suffix(".classifier.safetensors"), network)
        save_tensors(place, {name: each.to(torch.int16) for name, each in read.items()}, {"kind": KIND})


_TRAINER: list[Trainer] = []  # of a process of the pool


def _open(trainer: Trainer) -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _TRAINER[:] = [trainer]


def _end_with_parent() -> None:
    """Processes of a pool whose owner was killed would go on, and then wait for work for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _train(job: Job, place: Path) -> None:
    _TRAINER[0].run(job, place)
