"""The section `train_stylegan2` of params.yaml, and the networks that it describes."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from failure_atlas.core.device import Precision
from failure_atlas.core.fields import Section, Seed
from failure_atlas.core.weights import PinnedFile
from failure_atlas.stylegan2.discriminator import DiscriminatorArchitecture
from failure_atlas.stylegan2.feature_critic import CriticArchitecture
from failure_atlas.stylegan2.generator import GeneratorArchitecture

Width = Annotated[int, Field(ge=4, le=1024)]


class FeatureNetworkParams(Section):
    """One classifier that the feature critic looks through."""

    network: Literal["plain", "residual"]
    width: Annotated[int, Field(ge=8, le=512, multiple_of=8)]


class FeatureCriticParams(Section):
    """A second critic, which sees of images what classifiers of its own see in them."""

    networks: Annotated[list[FeatureNetworkParams], Field(min_length=1, max_length=100)]
    training_images: Annotated[int, Field(ge=1, le=1_000_000_000)]
    width: Annotated[int, Field(ge=4, le=4096)]
    weight: Annotated[float, Field(gt=0, le=100)]
    learning_rate: Annotated[float, Field(gt=0, le=0.1)]
    r1_gamma: Annotated[float, Field(ge=0, le=100)]
    moment_weight: Annotated[float, Field(ge=0, le=10_000)]
    moment_kimg: Annotated[float, Field(gt=0, le=10_000)]


class TrainStylegan2Params(Section):
    """Architecture, schedule and regularisation of the generator's training."""

    seed: Seed
    total_kimg: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["resumed"]
    resume: Annotated[list[PinnedFile], Field(min_length=1, max_length=100)] | None
    # Architecture.
    z_dim: Annotated[int, Field(ge=2, le=1024)]
    w_dim: Annotated[int, Field(ge=2, le=1024)]
    mapping_layers: Annotated[int, Field(ge=1, le=8)]
    generator_channels: Annotated[list[Width], Field(min_length=4, max_length=6)]
    discriminator_channels: Annotated[list[Width], Field(min_length=4, max_length=6)]
    discriminator_stem: Literal["space_to_depth", "pixels"]
    resampling: Literal["bilinear", "fir"]
    noise_scale: Literal["layer", "channel"]
    minibatch_std_group: Annotated[int, Field(ge=1, le=64)]
    # Optimisation.
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    class_balance: Annotated[float, Field(ge=0, le=1)]
    precision: Precision
    learning_rate: Annotated[float, Field(gt=0, le=0.1)]
    decay_fraction: Annotated[float, Field(ge=0, le=1)]
    r1_gamma: Annotated[float, Field(ge=0, le=100)]
    r1_interval_steps: Annotated[int, Field(ge=1, le=1000)]
    ema_kimg: Annotated[float, Field(gt=0, le=10_000)]
    ema_ramp: Annotated[float, Field(gt=0, le=1)]
    feature_critic: FeatureCriticParams | None
    # Augmentation.
    ada_target: Annotated[float, Field(ge=0, lt=1)]
    ada_interval_steps: Annotated[int, Field(ge=1, le=1000)]
    ada_kimg: Annotated[float, Field(gt=0, le=100_000)]
    # Keeping.
    snapshot_kimg: Annotated[int, Field(ge=1, le=1000)]

    @property
    def style_dimensions(self) -> int:
        """D: one for each input of each convolution, those that make the image included."""
        first, *rest = self.generator_channels
        inner = (before + 2 * after for before, after in zip(self.generator_channels, rest, strict=False))
        return 2 * first + sum(inner)

    def design_networks(
        self, num_classes: int, image_channels: int
    ) -> tuple[GeneratorArchitecture, DiscriminatorArchitecture]:
        """Generator and discriminator for a data set with so many classes and image channels."""
        shared: dict[str, Any] = {"num_classes": num_classes, "image_channels": image_channels}
        shared["resampling"] = self.resampling
        own = self.model_dump(include={"z_dim", "w_dim", "mapping_layers", "noise_scale"})
        generator = GeneratorArchitecture(channels=tuple(self.generator_channels), **own, **shared)
        own = {"stem": self.discriminator_stem, "minibatch_std_group": self.minibatch_std_group}
        return generator, DiscriminatorArchitecture(channels=tuple(self.discriminator_channels), **own, **shared)

    def design_critic(self, num_classes: int, image_channels: int) -> CriticArchitecture | None:
        """The feature critic for such a data set, or None where none is wanted."""
        if self.feature_critic is None:
            return None
        networks = tuple((each.network, each.width) for each in self.feature_critic.networks)
        return CriticArchitecture(num_classes, image_channels, networks, self.feature_critic.width)

    @model_validator(mode="after")
    def _check_widths(self) -> Self:
        if len(self.generator_channels) != len(self.discriminator_channels):
            raise ValueError(
                "generator_channels and discriminator_channels of equal length, one width per resolution "
                f"(here {len(self.generator_channels)} and {len(self.discriminator_channels)})"
            )
        if self.total_kimg == "resumed" and self.resume is None:
            raise ValueError("a number for total_kimg where resume is null: nothing says how long to train")
        if self.batch_size % self.minibatch_std_group:
            raise ValueError(
                f"a batch_size that minibatch_std_group divides (here {self.batch_size} and {self.minibatch_std_group})"
            )
        return self


MODEL = TrainStylegan2Params
