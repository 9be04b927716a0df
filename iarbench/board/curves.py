"""Attacks in order of strength: one curve per kind of attack, from the untouched image to the strongest."""

from __future__ import annotations

import re
from collections.abc import Iterable

from iarbench.results.rows import CLEAN

UNCHANGED = {"jpeg": 100.0, "webp": 100.0, "avif": 100.0, "crop": 1.0, "resize": 1.0, "brightness": 1.0,
             "contrast": 1.0, "saturation": 1.0, "sharpness": 1.0}  # fmt: skip
"""Number at which an attack leaves the image as it is, or nearly; 0 for those not named."""


def curves(attacks: Iterable[str]) -> dict[str, list[str]]:
    """Kind -> its attacks, the weakest first: "jpeg50" and "jpeg80" make one curve, "jpeg50+crop0.8" is no part of any.

    Strength is the distance of the number from the one at which nothing happens; brighter and darker are curves of
    their own ("brightness up", "brightness down").
    """
    found: dict[str, list[tuple[float, str]]] = {}
    for attack in attacks:
        match = re.fullmatch(r"([A-Za-z_-]+?)(\d+\.?\d*|\.\d+)", attack)
        if match is None or attack == CLEAN:
            continue
        prefix, number = match[1], float(match[2])
        unchanged = UNCHANGED.get(prefix, 0.0)
        both = prefix in ("brightness", "contrast", "saturation", "sharpness")
        name = f"{prefix} {'up' if number > unchanged else 'down'}" if both else prefix
        found.setdefault(name, []).append((abs(number - unchanged), attack))
    return {name: [attack for _, attack in sorted(found[name])] for name in sorted(found)}
