"""Bars of known shape, drawn without steps between pixels."""

import numpy as np


def draw_bar(thickness, length=20.0, degrees=0.0, shift=0.0, fine=8):
    """A bar of which the top leans to the right by so much; float64 [32, 32] in [0, 1]."""
    at = (np.arange(32 * fine) + 0.5) / fine - 16
    y, x = at[:, None], at[None, :] - shift
    angle = np.radians(degrees)
    along, across = -y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) + y * np.sin(angle)
    inside = (np.abs(along) <= length / 2) & (np.abs(across) <= thickness / 2)
    return inside.reshape(32, fine, 32, fine).mean(axis=(1, 3))
