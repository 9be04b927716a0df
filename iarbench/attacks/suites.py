"""The attacks of published robustness tests as named lists: `--attack suite:iclr2026`.

A suite holds `none` as well, since clean scores give the `transfer` threshold. What a publication does and iarbench has
no attack for is named beside it with the reason, and is noted in every run that asks for the suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from iarbench.attack import parse
from iarbench.errors import UserError
from iarbench.registry import did_you_mean

PREFIX = "suite:"


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of attacks."""

    source: str
    """Where parameters come from, and where they differ from it."""
    attacks: tuple[str, ...]
    beyond: tuple[tuple[str, str], ...] = ()
    """(what, why it is not among them)"""


def _each(pattern: str, values: Iterable[float | int]) -> tuple[str, ...]:
    """One attack a value: "jpeg{}" and 90, 80 are "jpeg90" and "jpeg80"."""
    return tuple(pattern.format(f"{value:.4g}") for value in values)


def _steps(first: float, last: float, step: float) -> list[float]:
    count = round((last - first) / step)
    return [round(first + place * step, 6) for place in range(count + 1)]


_NO_CODEC = "a learned codec of CompressAI, no dependency; `regenerate` with a generator's tokenizer is nearest"
_NO_DIFFUSION = "a diffusion model, which iarbench does not carry"
_NO_AUTOENCODER = "an autoencoder of the package diffusers, which is no dependency"
_NO_GRADIENT = "an adversarial attack on a network that iarbench does not carry"

# WMAR blurs with torchvision, which takes the deviation from the kernel: 0.15 k + 0.35.
_WMAR_BLURS = tuple(f"blur:kernel={kernel},sigma={0.15 * kernel + 0.35:.4g}" for kernel in range(3, 20, 2))


def _waves(strength: float) -> dict[str, str]:
    """WAVES' single distortions at a relative strength in (0, 1]."""
    return {
        "rotation": f"rotate{45 * strength:.4g}",
        "crop": f"crop:scale={(1 - 0.5 * strength) ** 0.5:.4g},place=random,filter=bilinear",
        "erasing": f"erase{0.25 * strength:.4g}",
        "brightness": f"brightness{1 + strength:.4g}",
        "contrast": f"contrast{1 + strength:.4g}",
        "blurring": f"gaussblur{int(20 * strength)}",
        "noise": f"noise{0.1 * strength:.4g}",
        "compression": f"jpeg{int(90 - 80 * strength)}",
    }


def _waves_combined(strength: float) -> tuple[str, ...]:
    one = _waves(strength)
    geometric = "+".join(one[name] for name in ("rotation", "crop", "erasing"))
    photometric = "+".join(one[name] for name in ("brightness", "contrast"))
    degradation = "+".join(one[name] for name in ("blurring", "noise", "compression"))
    return geometric, photometric, degradation, "+".join((geometric, photometric, degradation))


SUITES: dict[str, Suite] = {
    "iclr2026": Suite(
        "Data Provenance for Image Auto-Regressive Generation (arXiv 2606.28386), the sweep of its repository",
        (
            "none",
            *_each("jpeg{}", range(100, 0, -10)),
            *_each("noise{}", _steps(0.05, 0.2, 0.05)),
            *_each("blur{}", range(3, 20, 2)),
            *_each("resize{}", _steps(0.5, 0.95, 0.05)[::-1]),
            *_each("brightness{}", _steps(1.1, 2, 0.1)),
            *_each("contrast{}", _steps(1.2, 3, 0.2)),
            *_each("saturation{}", _steps(1.2, 3, 0.2)),
        ),
    ),
    "iclr2026-default": Suite(
        "The same paper's one strength of each attack",
        ("none", "jpeg60", "noise0.05", "blur9", "resize0.5", "brightness1.6", "contrast2", "saturation2"),
    ),
    "wmar": Suite(
        "WMAR (arXiv 2506.16349), its evaluation grid; a rotation of -20 degrees is one of 340",
        (
            "none",
            *_WMAR_BLURS,
            *_each("noise{}", _steps(0.025, 0.2, 0.025)),
            *_each("jpeg{}", (100, *range(95, 0, -10))),
            *_each("brightness{}", _steps(1.25, 3, 0.25)),
            *_each("rotate{}", (5, 10, 15, 20, 340, 345, 350, 355)),
            "flip",
            *_each("crop:scale={},place=corner,filter=bilinear", _steps(0.5, 0.95, 0.05)[::-1]),
        ),
        (
            ("bmshj2018 (factorized, hyperprior), mbt2018 (mean, full), cheng2020 (anchor, attn)", _NO_CODEC),
            ("the autoencoders of SD (two), DC-AE and FLUX", _NO_AUTOENCODER),
            ("DiffPure 0.01 to 0.3", _NO_DIFFUSION),
        ),
    ),
    "waves": Suite(
        "WAVES (arXiv 2401.08573), distortions at fifths of its strengths, combinations at 0.1 and 0.2",
        (
            "none",
            *(name for strength in (0.2, 0.4, 0.6, 0.8, 1.0) for name in _waves(strength).values()),
            *_waves_combined(0.1),
            *_waves_combined(0.2),
        ),
        (
            ("regeneration by Stable Diffusion, once, twice and four times, with and without prompt", _NO_DIFFUSION),
            ("regeneration by bmshj2018 and cheng2020, once and four times", _NO_CODEC),
            ("regeneration by KL autoencoders, once and four times", _NO_AUTOENCODER),
            ("attacks on embeddings (ResNet-18, CLIP, autoencoders) and on surrogate classifiers", _NO_GRADIENT),
        ),
    ),
    "aeroblade": Suite(
        "AEROBLADE (arXiv 2401.17879), its robustness test",
        (
            "none",
            *_each("jpeg{}", range(90, 40, -10)),
            *_each("crop:scale={},filter=bilinear", _steps(0.5, 0.9, 0.1)[::-1]),
            *_each("blur:kernel=9,sigma={}", range(1, 6)),
            *_each("noise{}", _steps(0.05, 0.25, 0.05)),
        ),
    ),
    "d3qe": Suite(
        "D3QE (arXiv 2510.05891), --robust_all; its repository attacks before images are resized to 256 pixels",
        (
            "none",
            *_each("jpeg{}", (95, 90, 75, 60, 50)),
            *_each("crop:scale={},place=random,filter=nearest", _steps(0.5, 0.9, 0.1)[::-1]),
        ),
    ),
    "survey": Suite(
        "ours: one strength of every attack that iarbench has",
        (
            "none", "jpeg50", "webp50", "avif50", "resize0.5", "resize:scale=0.5,filter=bilinear",
            "resize:scale=0.5,filter=lanczos", "crop0.9", "crop:scale=0.9,place=random", "crop:scale=0.9,back=mirror",
            "crop:scale=0.9,grid=8,back=mirror", "rotate5", "flip", "noise0.05", "blur9", "gaussblur1", "median5",
            "brightness1.6", "contrast2", "saturation2", "hue0.1", "sharpness3", "grey", "erase0.1", "text0.2",
            "screenshot1.25", "social75", "jpeg50+resize0.5", "regenerate:model=rar-mini",
            "tokens:share=0.1,model=rar-mini", "tokens:share=0.1,model=infinity-mini",
        ),
    ),
}  # fmt: skip
"""By name."""


def expand(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The attacks that names stand for, suites replaced by what they hold, and a note for all that is left out.

    An attack that is asked for by its own name is not left out: it raises where it cannot be made.

    Raises:
        UserError: an unknown suite, an attack that this installation cannot make, or one in two spellings.
    """
    found: list[str] = []
    spelt: dict[str, str] = {}
    notes: list[str] = []
    for name in names:
        if name.startswith(PREFIX):
            held, left_out = _of_suite(name.removeprefix(PREFIX))
            found += held
            notes += left_out
            continue
        attack = parse(name)
        if (first := spelt.setdefault(attack.name, name)) != name:
            raise UserError(f"attacks {first!r} and {name!r} are the same one; leave one out")
        if lacking := attack.lacking():
            raise UserError(f"attack {name!r}: {lacking}")
        found.append(name)
    return list(dict.fromkeys(found)), notes


def _of_suite(name: str) -> tuple[list[str], list[str]]:
    if name not in SUITES:
        raise UserError(did_you_mean("suite of attacks", name, SUITES))
    suite = SUITES[name]
    lacking = {one: parse(one).lacking() for one in suite.attacks}
    held = [one for one, reason in lacking.items() if reason is None]
    notes = [f"suite {name}: {len(held)} attacks, none included; {suite.source}"]
    notes += [f"left out of suite {name}: {one}: {reason}" for one, reason in lacking.items() if reason is not None]
    notes += [f"not in suite {name}: {what}: {why}" for what, why in suite.beyond]
    return held, notes
