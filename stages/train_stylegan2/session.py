"""One training from its inputs to its end, killed and resumed as often as may be."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from failure_atlas.core.device import choose_dtype, fix_kernels
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import PinnedFile, check_pinned, read_description
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.feature_critic import learn_features
from failure_atlas.stylegan2.state import TrainingState, new_state, restore_state, save_state
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.training import Schedule, train
from stages.train_stylegan2.workers import Worker, count_workers, launched_rank, worker_group

SNAPSHOT = "snapshot.safetensors"


@dataclass(frozen=True)
class Session:
    """What a training is made from; equal sessions share a resume folder."""

    images: ImageSet
    class_names: list[str]
    params: TrainStylegan2Params
    resume_root: Path
    device: torch.device

    @cached_property
    def folder(self) -> Path:
        """Where this training's snapshots stand: named by a hash of its params, images and class names."""
        digest = hashlib.sha256(json.dumps(self.params.model_dump(), sort_keys=True).encode())
        digest.update(json.dumps(self.class_names).encode())
        digest.update(self.images.images.tobytes())
        digest.update(self.images.labels.tobytes())
        return self.resume_root / digest.hexdigest()[:16]

    @property
    def snapshot(self) -> Path:
        """The last good snapshot of this training."""
        return self.folder / SNAPSHOT


def start_state(session: Session) -> TrainingState:
    """The state to go on from: this training's own snapshot, else the one named in `resume`, else untrained."""
    params, classes = session.params, len(session.class_names)
    image_channels, height, width = session.images.images.shape[1:]
    generator, discriminator = params.design_networks(classes, image_channels)
    if (height, width) != (generator.size_px, generator.size_px):
        raise StageError(
            f"train_stylegan2.generator_channels: {len(generator.channels)} widths make {generator.size_px} px images, "
            f"the data's are {height} x {width} px; allowed: one width for each of 4, 8, 16, ... px up to {height}"
        )
    state = new_state(
        generator,
        discriminator,
        AdaptiveProbability(params.ada_target, params.ada_interval_steps, params.ada_kimg),
        session.class_names,
        learning_rate=params.learning_rate,
        seed=params.seed,
        device=session.device,
        critic=params.design_critic(classes, image_channels),
    )
    if session.snapshot.is_file():
        restore_state(session.snapshot, state)
    elif params.resume is not None:
        snapshot = choose_snapshot(params.resume, session.class_names)
        restore_state(snapshot, state)
        check_resumed(params.total_kimg, snapshot, state.images_seen, state.class_names, session.class_names)
        state.class_names = session.class_names
    return state


def choose_snapshot(resume: Sequence[PinnedFile], class_names: list[str]) -> Path:
    """Of the snapshots named in `resume` the first that knows these classes, else the first.

    Raises StageError for a file that is missing or holds other bytes than its hash says.
    """
    paths = [check_pinned(file, f"train_stylegan2.resume.{index}") for index, file in enumerate(resume)]
    return next((path for path in paths if read_description(path)["class_names"] == class_names), paths[0])


def check_resumed(
    total_kimg: int | str, path: Path, images_seen: int, learned: Sequence[str], shown: Sequence[str]
) -> None:
    """A snapshot from elsewhere must not be past the end; one with nothing left to learn must know these classes.

    total_kimg: as params have it.  learned, shown: classes of the snapshot and of the images.
    """
    seen = images_seen // 1000
    total = seen if isinstance(total_kimg, str) else total_kimg
    if seen > total:
        raise StageError(
            f"train_stylegan2.total_kimg: got {total_kimg}; allowed: at least the {seen} that "
            f"{path} has seen, `resumed` to leave it as it is, or fewer with resume: null"
        )
    if seen == total and learned != shown:
        raise StageError(
            f"{path}: has learned {', '.join(learned)}; the images show {', '.join(shown)}; "
            f"set train_stylegan2.total_kimg above {seen} to train it on them, or name a snapshot that knows "
            "them in train_stylegan2.resume, or train from scratch with resume: null and a number for total_kimg"
        )


def count_images(session: Session, start: TrainingState) -> int:
    """Images seen when this training ends; start: the state that it starts from."""
    total = session.params.total_kimg
    return start.images_seen if total == "resumed" else total * 1000


def count_feature_images(session: Session, start: TrainingState) -> int:
    """Images that the feature critic's classifiers have to be shown before the training can begin, in all."""
    wanted = session.params.feature_critic
    if wanted is None or start.critic_ready or start.images_seen >= count_images(session, start):
        return 0
    return len(wanted.networks) * wanted.training_images


def prepare_critic(
    session: Session, state: TrainingState, advance: Callable[[int, str], object] = lambda *_: None
) -> None:
    """Let the feature critic's classifiers learn, where there are any that have not, and keep what they learned.

    advance: told the number of images just shown to one of them, and a note. Of the processes that `torchrun` started
    each does so for itself, with the same numbers.
    """
    wanted = session.params.feature_critic
    if wanted is None or state.critic is None or not count_feature_images(session, state):
        return
    learn_features(
        state.critic,
        session.images,
        training_images=wanted.training_images,
        seed=session.params.seed,
        precision=session.params.precision,
        key="train_stylegan2.feature_critic",
        advance=advance,
    )
    state.critic_ready = True
    if not launched_rank():
        save_state(session.snapshot, state)  # for the workers that this process starts, and for a run that goes on


def run_session(
    session: Session, state: TrainingState, on_tick: Callable[[TrainingState], object] = lambda _: None
) -> TrainingState:
    """Train a state to the end over as many workers as fit, and return it.

    on_tick: called after each thousand images. A snapshot is written every `snapshot_kimg`, of the processes that
    `torchrun` started by the first one.  Raises StageError when training diverges, naming the last good snapshot.
    """
    params = session.params
    if state.images_seen >= count_images(session, state):
        return state

    def keep(state: TrainingState, last: bool) -> None:
        due = round(state.images_seen / 1000) % params.snapshot_kimg == 0
        if (last or due) and not launched_rank():
            save_state(session.snapshot, state)
        on_tick(state)

    prepare_critic(session, state)
    workers = count_workers(params.batch_size, params.minibatch_std_group, session.device)
    try:
        with worker_group(workers, _help, session) as worker:
            _train(worker, session, state, keep)
    except StageError as error:
        if session.snapshot.is_file():
            raise StageError(f"{error}; the last good snapshot is {session.snapshot}") from error
        raise
    return state


def _help(worker: Worker, session: Session) -> None:
    """What a helper process runs: the same steps as the first worker, without files or progress."""
    fix_kernels()
    _train(worker, session, start_state(session), lambda _state, _last: None)


def _train(
    worker: Worker, session: Session, state: TrainingState, on_tick: Callable[[TrainingState, bool], None]
) -> None:
    params = session.params
    schedule = Schedule(params, count_images(session, state), choose_dtype(params.precision, session.device))
    batches = Batches(
        session.images.images,
        session.images.labels,
        batch_size=params.batch_size,
        z_dim=params.z_dim,
        noise_resolutions=state.generator.noise_resolutions(),
        seed=params.seed,
        rows=worker.rows(params.batch_size),
        device=session.device,
        balance=params.class_balance,
    )
    train(state, batches, schedule, worker, on_tick)
