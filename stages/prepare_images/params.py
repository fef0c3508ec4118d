"""The section `prepare_images` of params.yaml."""

from stages.common.image_params import PrepareImagesParams

MODEL = PrepareImagesParams
