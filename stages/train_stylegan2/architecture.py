"""The networks that the params describe."""

from failure_atlas.stylegan2.discriminator import DiscriminatorArchitecture
from failure_atlas.stylegan2.feature_critic import CriticArchitecture
from failure_atlas.stylegan2.generator import GeneratorArchitecture
from stages.train_stylegan2.params import TrainStylegan2Params


def design_networks(
    params: TrainStylegan2Params, num_classes: int, image_channels: int
) -> tuple[GeneratorArchitecture, DiscriminatorArchitecture]:
    """Generator and discriminator for a data set with so many classes and image channels."""
    generator = GeneratorArchitecture(
        z_dim=params.z_dim,
        w_dim=params.w_dim,
        num_classes=num_classes,
        mapping_layers=params.mapping_layers,
        channels=tuple(params.generator_channels),
        image_channels=image_channels,
        resampling=params.resampling,
    )
    discriminator = DiscriminatorArchitecture(
        num_classes=num_classes,
        channels=tuple(params.discriminator_channels),
        image_channels=image_channels,
        stem=params.discriminator_stem,
        minibatch_std_group=params.minibatch_std_group,
        resampling=params.resampling,
    )
    return generator, discriminator


def design_critic(params: TrainStylegan2Params, num_classes: int, image_channels: int) -> CriticArchitecture | None:
    """The feature critic for such a data set, or None where the params want none."""
    if params.feature_critic is None:
        return None
    networks = tuple((each.network, each.width) for each in params.feature_critic.networks)
    return CriticArchitecture(num_classes, image_channels, networks, params.feature_critic.width)
