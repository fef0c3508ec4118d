"""Seconds per 1,000 samples by size of the image, and the share of what this machine computes in one long product.

The networks are StyleGAN2s of the widths that StyleGAN2-ADA takes for small images, 16,384 / resolution and at most
512, with untrained weights, in the form of a brought generator. Work is counted by PyTorch; the machine's rate is that
of a product of two matrices of 1,024 in float32. Each is the fastest of the calls of some seconds.
"""

import math
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import print_table, run_benchmark
from failure_atlas.core.device import choose_device
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture

SIZES_PX = (32, 64, 128, 256)
SECONDS = 4.0  # of each measurement, at least
PIXELS = 2**13  # of a batch, and one image at least: 8 of 32 px, 1 of 128 px


def main() -> None:
    """Time the way from z to the image at each size, and say what share of the machine's rate it reaches."""
    device, rows = choose_device(), []
    rate = measure_rate(device)
    for size_px in SIZES_PX:
        generator, batch = build(size_px, device), max(PIXELS // size_px**2, 1)
        seconds, work = time_samples(generator, batch), count_work(generator)
        rows.append(
            [f"{size_px} px", str(batch), f"{1000 * seconds:.1f}", f"{work / 1e9:.2f}", f"{work / seconds / rate:.0%}"]
        )
    columns = ("image", "batch", "s per 1,000", "GFLOP each", "of the rate")
    notes = [f"rate: {rate / 1e9:,.0f} GFLOP/s on {device}, a product of two matrices of 1,024 in float32"]
    print_table("from z to the image", columns, rows, notes)


def build(size_px: int, device: torch.device) -> Generator:
    """An untrained generator of the published widths."""
    widths = tuple(min(16_384 // (4 * 2**level), 512) for level in range(size_px.bit_length() - 2))
    held = GeneratorArchitecture(
        z_dim=512, w_dim=512, num_classes=0, mapping_layers=8, channels=widths, image_channels=3, resampling="fir",
        conditional=False, filter_last=True, clamp=256.0,
    )  # fmt: skip
    return Generator(held).eval().requires_grad_(False).to(device)


def time_samples(generator: Generator, batch: int) -> float:
    """Seconds for one sample, z to image."""
    device = next(generator.parameters()).device
    z, labels = torch.randn(batch, generator.z_dim, device=device), torch.zeros(batch, dtype=torch.int64, device=device)

    def paint() -> None:
        generator.synthesize(generator.map_styles(generator.map_latents(z, labels)))

    return time_calls(paint, device) / batch


def count_work(generator: Generator) -> int:
    """Floating-point operations of one sample; a multiplication with its addition counts two."""
    styles = torch.ones(1, generator.style_dimensions, device=next(generator.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        generator.synthesize(styles)
    return counter.get_total_flops()


def measure_rate(device: torch.device) -> float:
    """Floating-point operations in a second, of a product of two matrices."""
    left = torch.randn(1024, 1024, device=device)
    return 2 * 1024**3 / time_calls(lambda: left @ left, device)


def time_calls(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest call but the first; what else runs on the machine slows some of them."""
    fastest, begun = math.inf, time.perf_counter()
    call()
    while time.perf_counter() - begun < SECONDS or fastest == math.inf:
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        fastest = min(fastest, time.perf_counter() - started)
    return fastest


if __name__ == "__main__":
    run_benchmark(main)
