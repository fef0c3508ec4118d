"""The two networks that the params describe."""

from stages.train_stylegan2.discriminator import DiscriminatorArchitecture
from stages.train_stylegan2.generator import GeneratorArchitecture
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
