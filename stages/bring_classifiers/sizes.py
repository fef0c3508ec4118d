"""Sizes at which images may be shown to a network that takes any: global pooling refuses none and reads few."""

USUAL = (28, 32, 64, 224)  # px: what networks for digits, for small images and for photographs are trained on
SMALLEST = 8  # px: below, no digit can be told


def list_sizes(side_px: int, declared_px: int) -> list[tuple[int, str]]:
    """Pairs of size_px and fit worth trying for square images of `side_px` that are shown at `declared_px`.

    The usual sizes, the images' own, and half and double of what was declared; the smallest first. A smaller one is
    both cropped and resized; of the images' own nothing is cut, whichever fit it has.
    """
    sizes = {*USUAL, side_px, declared_px // 2, 2 * declared_px} - {declared_px}
    most = max(*USUAL, declared_px)  # a network at twice the size of photographs takes minutes
    return [
        (size_px, fit)
        for size_px in sorted(size_px for size_px in sizes if SMALLEST <= size_px <= most)
        for fit in (("crop", "resize") if size_px < side_px else ("resize",))
    ]
