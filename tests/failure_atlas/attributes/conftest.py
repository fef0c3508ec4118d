"""Real digits and drawn strokes."""

from tests.strokes import digits, draw_bar, stream  # noqa: F401  fixtures
