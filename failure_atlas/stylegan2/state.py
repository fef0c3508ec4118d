"""All that training changes, and its form on disk: one safetensors file that a run can go on from.

What others want of a training snapshot: the averaged generator, for use from a notebook, and the discriminator.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from failure_atlas.stylegan2.feature_critic import CriticArchitecture, FeatureCritic
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, read_architecture

KIND = "stylegan2-snapshot"
OF_DATA = ("num_classes", "image_channels")  # of an architecture: what the images decide, and no params
BETAS = (0.0, 0.99)
# Of Adam's state. With the first of BETAS at 0 the first moment is the last gradient, which no step reads.
STEP = "step"
MOMENTS = ("exp_avg_sq", STEP)


@dataclass
class TrainingState:
    """Networks, their average, optimisers and counters.

    average: the generator with exponentially averaged weights, the one that is used afterwards. Random numbers are
    a function of seed and step, so `images_seen` is the whole random state. class_names: what was learned from, in the
    order of the labels.  critic: the feature critic, if the params want one, and `critic_ready` once its classifiers
    have learned what they look for.
    """

    generator: Generator
    discriminator: Discriminator
    average: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    augmentation: AdaptiveProbability
    class_names: list[str]
    critic: FeatureCritic | None = None
    critic_optimizer: torch.optim.Adam | None = None
    critic_ready: bool = False
    images_seen: int = 0
    log: list[dict[str, float]] = field(default_factory=list)


def new_state(
    generator: GeneratorArchitecture,
    discriminator: DiscriminatorArchitecture,
    augmentation: AdaptiveProbability,
    class_names: list[str],
    *,
    learning_rate: float,
    seed: int,
    device: torch.device,
    critic: CriticArchitecture | None = None,
) -> TrainingState:
    """Untrained networks; equal seeds give equal weights and leave the global random state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, opponent = Generator(generator), Discriminator(discriminator)
        second = None if critic is None else FeatureCritic(critic)
    for module in (network, opponent, *([] if second is None else [second])):
        # Channels last: the same numbers but for rounding, 1.3 times the images per second on a CPU.
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
    return TrainingState(
        generator=network,
        discriminator=opponent,
        average=copy.deepcopy(network).requires_grad_(False),
        generator_optimizer=_optimizer(network, learning_rate),
        discriminator_optimizer=_optimizer(opponent, learning_rate),
        augmentation=augmentation,
        class_names=class_names,
        critic=second,
        critic_optimizer=None if second is None else _optimizer(second.head, learning_rate),
    )


def save_state(path: Path, state: TrainingState) -> None:
    """Write a snapshot, whole or not at all."""
    tensors = {
        f"{name}.{key}": held for name, network in _networks(state) for key, held in network.state_dict().items()
    }
    tensors |= {
        f"{name}_optimizer.{parameter}.{key}": optimizer.state[held][key]
        for name, network, optimizer in _trained(state)
        for parameter, held in network.named_parameters()
        if held in optimizer.state
        for key in MOMENTS
    }
    description = {
        "kind": KIND,
        "generator": state.generator.architecture.describe(),
        "discriminator": state.discriminator.architecture.describe(),
        "augmentation": asdict(state.augmentation),
        "class_names": state.class_names,
        "images_seen": state.images_seen,
        "log": state.log,
    }
    if state.critic is not None and state.critic_ready:
        description["critic"] = state.critic.architecture.describe()
    save_tensors(path, tensors, description)


def restore_state(path: Path, state: TrainingState) -> None:
    """Fill a new state from a snapshot; the rules of augmentation stay those of the new state.

    A feature critic that the snapshot does not hold, or holds in another form, stays untrained.
    Raises StageError if the file is damaged or holds networks of another architecture.
    """
    tensors, description = load_tensors(path, KIND)
    check_architecture(path, "generator", description["generator"], state.generator.architecture.describe())
    check_architecture(path, "discriminator", description["discriminator"], state.discriminator.architecture.describe())
    if state.critic is not None:
        known = description["class_names"] == state.class_names  # of clothes, what digits are told apart by says little
        state.critic_ready = known and description.get("critic") == state.critic.architecture.describe()
    for name, network in _networks(state):
        held = {key: _spread(tensors[f"{name}.{key}"], own) for key, own in network.state_dict().items()}
        network.load_state_dict(held)
    for name, network, optimizer in _trained(state):
        for parameter, own in network.named_parameters():
            moments = {key: tensors.get(f"{name}_optimizer.{parameter}.{key}") for key in MOMENTS}
            known_moments = {
                key: moment.to(own.device) if key == STEP else _like(own, moment)
                for key, moment in moments.items()
                if moment is not None
            }
            if known_moments:
                fresh = {"exp_avg": torch.zeros_like(own, requires_grad=False)}
                optimizer.state[own] = known_moments | fresh
    for key in ("probability", "sign_sum", "images", "steps"):
        setattr(state.augmentation, key, description["augmentation"][key])
    state.class_names = description["class_names"]
    state.images_seen = description["images_seen"]
    state.log = description["log"]


def _networks(state: TrainingState) -> list[tuple[str, nn.Module]]:
    """What a snapshot holds by name; the feature critic once it has learned its features."""
    networks: list[tuple[str, nn.Module]] = [
        ("generator", state.generator),
        ("discriminator", state.discriminator),
        ("average", state.average),
    ]
    if state.critic is not None and state.critic_ready:
        networks.append(("critic", state.critic))
    return networks


def _trained(state: TrainingState) -> list[tuple[str, nn.Module, torch.optim.Adam]]:
    """Whose moments it holds, with their optimisers."""
    trained: list[tuple[str, nn.Module, torch.optim.Adam]] = [
        ("generator", state.generator, state.generator_optimizer),
        ("discriminator", state.discriminator, state.discriminator_optimizer),
    ]
    if state.critic is not None and state.critic_optimizer is not None and state.critic_ready:
        trained.append(("critic", state.critic.head, state.critic_optimizer))
    return trained


def check_architecture(path: Path, name: str, held: Mapping[str, Any], needed: Mapping[str, Any]) -> None:
    """Raise StageError unless a network of a snapshot is of the architecture that is needed; name: of the network.

    Where noise is to be scaled for each channel, one scale for a layer fits: it is taken for that of each.
    """
    for key in needed:
        if held.get(key) != needed[key] and not (key == "noise_scale" and needed[key] == "channel"):
            asks, remedy = ("data", "use the snapshot's data") if key in OF_DATA else ("params", "set the params to it")
            raise StageError(
                f"{path}: its {name} has {key} {held.get(key)}, the {asks} ask for {needed[key]}; {remedy}, or "
                "train from scratch with train_stylegan2.resume: null"
            )


def _optimizer(network: nn.Module, learning_rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=learning_rate, betas=BETAS, eps=1e-8, fused=True)


def _like(parameter: nn.Parameter, moment: torch.Tensor) -> torch.Tensor:
    """A moment on the parameter's device and in its memory layout, which the fused optimiser takes for granted."""
    return torch.empty_like(parameter, requires_grad=False).copy_(_spread(moment, parameter))


def _spread(held: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """One number for a layer as one for each of its channels, which is the same function; all else as it is."""
    return held.expand(own.shape) if held.dim() == 0 else held


NetworkT = TypeVar("NetworkT", bound=nn.Module)
SNAPSHOT = Path(__file__).parents[2] / "data" / "released" / "snapshot.safetensors"


def load_released_generator(path: Path = SNAPSHOT, device: torch.device | None = None) -> Generator:
    """The averaged generator of a snapshot, in evaluation mode, its weights frozen; by default the released one.

    Raises StageError if the file is missing, cut, or holds no generator that this version can build.
    """
    return _load_network(path, "generator", "average", lambda held: Generator(read_architecture(held)), device)


def load_discriminator(path: Path, device: torch.device) -> Discriminator:
    """The discriminator of a snapshot, in evaluation mode, its weights frozen; errors as `load_released_generator`."""
    discriminator = _load_network(path, "discriminator", "discriminator", _build_discriminator, device)
    # Channels last: the same numbers but for rounding, faster on a CPU.
    return discriminator.to(memory_format=torch.channels_last)  # type: ignore[no-any-return,call-overload]  # missing in its stub


def _build_discriminator(held: dict[str, Any]) -> Discriminator:
    return Discriminator(DiscriminatorArchitecture(**{**held, "channels": tuple(held["channels"])}))


def _load_network(
    path: Path, kind: str, prefix: str, build: Callable[[dict[str, Any]], NetworkT], device: torch.device | None
) -> NetworkT:
    tensors, description = load_tensors(path, KIND)
    own = {name.removeprefix(f"{prefix}."): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}
    try:
        network = build(description[kind])
        network.load_state_dict(own)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no {kind} that this version can build ({reason}); make it again with: "
            "dvc repro train_stylegan2"
        ) from error
    return network.to(device or torch.device("cpu")).eval().requires_grad_(False)
