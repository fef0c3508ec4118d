"""The section `corrupt_images` of params.yaml."""

from stages.common.image_params import CorruptImagesParams

MODEL = CorruptImagesParams
