"""Attacks in order of strength: one curve per kind of attack, from the weakest to the strongest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iarbench.results.strength import strengths_of

ONE = ("brightness", "contrast", "saturation", "sharpness", "crop", "resize")
"""Attacks whose number leaves an image as it is at 1; others at 0, and codecs at 100."""
CODECS = ("jpeg", "webp", "avif")


def distances(attacks: Sequence[str]) -> dict[str, dict[str, float]]:
    """Kind -> attack -> how far its number is from the one at which nothing happens: jpeg50 is 50 away from 100.

    Brighter and darker are two kinds; chains, "none" and attacks without a number are of no kind.
    """
    found: dict[str, dict[str, float]] = {}
    for attack, (kind, _, strength) in strengths_of(dict.fromkeys(attacks)).items():
        if strength is None:
            continue
        prefix = kind.split()[0]
        unchanged = 1.0 if prefix in ONE else 100.0 if prefix in CODECS else 0.0
        side = f" {'up' if strength > unchanged else 'down'}" if prefix in ONE[:4] else ""
        found.setdefault(kind + side, {})[attack] = abs(strength - unchanged)
    return {kind: found[kind] for kind in sorted(found)}


def curves(attacks: Sequence[str], psnr: Mapping[str, float]) -> dict[str, list[str]]:
    """Kind -> its attacks, the weakest first: "jpeg50" and "jpeg80" are one curve.

    Attacks of one kind are ordered by what they leave of images (`psnr`: attack -> dB), or where that is not known of
    all of them by their `distances`.
    """
    return {kind: _ordered(found, psnr) for kind, found in distances(attacks).items()}


def _ordered(away: Mapping[str, float], psnr: Mapping[str, float]) -> list[str]:
    if all(attack in psnr for attack in away):
        return sorted(away, key=lambda attack: -psnr[attack])
    return sorted(away, key=lambda attack: (away[attack], attack))
