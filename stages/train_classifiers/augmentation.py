"""Small random affine changes of shape, within which a person still reads the same digit."""

import math

import torch
from torch.nn import functional


def draw_affine(
    n: int, generator: torch.Generator, *, rotation_degrees: float, scale: float, shear: float, shift: float
) -> torch.Tensor:
    """Random affine maps [n, 2, 3] as `warp` takes them, each factor uniform within its limits.

    rotation_degrees: 10 turns by up to 10 degrees either way.  scale: 0.1 resizes by 1 / 1.1 to 1.1, width and height
    apart.  shear: 0.1 slants by up to 0.1.  shift: as a share of the image's side.
    """

    def uniform(limit: float, *shape: int) -> torch.Tensor:
        return (torch.rand(n, *shape, generator=generator) * 2 - 1) * limit

    angle = uniform(math.radians(rotation_degrees))
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    slant = torch.eye(2).repeat(n, 1, 1)
    slant[:, 0, 1] = uniform(shear)
    resize = torch.diag_embed(torch.exp(uniform(math.log1p(scale), 2)))
    return torch.cat([rotation @ slant @ resize, 2 * uniform(shift, 2, 1)], dim=2)


def warp(images: torch.Tensor, maps: torch.Tensor, interpolation: str) -> torch.Tensor:
    """Sample [N, C, H, W] images along affine maps of the output's coordinates (-1 to 1); mirrored at the edge.

    interpolation: "nearest" keeps noise as strong as it is; "bilinear" averages neighbours, and so removes some of it.
    """
    grid = functional.affine_grid(maps.to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode=interpolation, padding_mode="reflection", align_corners=False)
