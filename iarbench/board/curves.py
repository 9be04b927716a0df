"""Attacks in order of strength: one curve per kind of attack, from the weakest to the strongest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iarbench.results.strength import strengths_of

ONE = ("brightness", "contrast", "saturation", "sharpness", "crop", "resize")
"""Attacks whose number leaves an image as it is at 1; others at 0, and codecs at 100."""
CODECS = ("jpeg", "webp", "avif")


def curves(attacks: Sequence[str], psnr: Mapping[str, float]) -> dict[str, list[str]]:
    """Kind -> its attacks, the weakest first: "jpeg50" and "jpeg80" are one curve, chains and "none" part of no curve.

    Attacks of one kind are ordered by what they leave of images (`psnr`: attack -> dB), or where that is not known of
    all of them by how far their number is from the one at which nothing happens; brighter and darker are two kinds.
    """
    found: dict[str, list[tuple[float, str]]] = {}
    for attack, (kind, _, strength) in strengths_of(dict.fromkeys(attacks)).items():
        if strength is None:
            continue
        prefix = kind.split()[0]
        unchanged = 1.0 if prefix in ONE else 100.0 if prefix in CODECS else 0.0
        side = f" {'up' if strength > unchanged else 'down'}" if prefix in ONE[:4] else ""
        found.setdefault(kind + side, []).append((abs(strength - unchanged), attack))
    return {kind: _ordered(found[kind], psnr) for kind in sorted(found)}


def _ordered(attacks: list[tuple[float, str]], psnr: Mapping[str, float]) -> list[str]:
    if all(attack in psnr for _, attack in attacks):
        return sorted((attack for _, attack in attacks), key=lambda attack: -psnr[attack])
    return [attack for _, attack in sorted(attacks)]
