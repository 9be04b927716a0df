"""The attacks that are learned from: three strengths of seven kinds (arXiv 2606.28386, table A2)."""

from __future__ import annotations

import numpy as np
from PIL import Image

from iarbench.attack import Attack, attack_image, parse

STRENGTHS: dict[str, tuple[tuple[str, ...], ...]] = {
    "weak": (
        ("jpeg90", "jpeg85", "jpeg80"),
        ("blur3",),
        ("noise0.005", "noise0.01", "noise0.02"),
        ("brightness1.1", "brightness1.2"),
        ("saturation1.2", "saturation1.5"),
        ("resize0.9", "resize0.85", "resize0.8"),
        ("contrast1.2", "contrast1.5"),
    ),
    "medium": (
        ("jpeg80", "jpeg75", "jpeg70", "jpeg65"),
        ("blur3", "blur5"),
        ("noise0.02", "noise0.03", "noise0.04"),
        ("brightness1.3", "brightness1.4", "brightness1.5"),
        ("saturation1.5", "saturation1.7", "saturation2"),
        ("resize0.8", "resize0.75", "resize0.7"),
        ("contrast1.5", "contrast1.7", "contrast2"),
    ),
    "strong": (
        ("jpeg60", "jpeg55", "jpeg50"),
        ("blur5", "blur7", "blur9"),
        ("noise0.03", "noise0.04", "noise0.05"),
        ("brightness1.5", "brightness1.7", "brightness2"),
        ("saturation2", "saturation2.2", "saturation2.5"),
        ("resize0.7", "resize0.6", "resize0.5"),
        ("contrast2", "contrast2.2", "contrast2.4"),
    ),
}
"""Strength -> its kinds of attacks, each with the attacks of that kind."""


def attacked_each(pixels: np.ndarray, strength: str, rng: np.random.Generator, name: str) -> np.ndarray:
    """Images uint8 (N, H, W, 3), each under one random attack of the strength.

    Args:
        rng: draws the attacks.
        name: what the images are called, each by its place, where an attack is random itself.
    """
    attacked = np.empty_like(pixels)
    for place, image in enumerate(pixels):
        attack = _random_attack(strength, rng)
        attacked[place] = np.asarray(attack_image(attack, Image.fromarray(image), f"{name}/{place}"))
    return attacked


def _random_attack(strength: str, rng: np.random.Generator) -> Attack:
    """One of a strength: every kind is as likely as the others, and within a kind every attack."""
    kind = STRENGTHS[strength][rng.integers(len(STRENGTHS[strength]))]
    return parse(kind[rng.integers(len(kind))])
