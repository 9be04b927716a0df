"""What a gallery's features come from: a kind of fingerprint and an encoder. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["binary", "levels", "planes"]
"""What of the three lowest bits is kept; see `iarbench.retrieval.fingerprint.fingerprint`."""
KINDS: tuple[Kind, ...] = get_args(Kind)

Mode = Literal["full", "patch-max", "patch-min"]
MODES: tuple[Mode, ...] = get_args(Mode)

PACKAGED = "small"
"""Stands for the encoder that comes with iarbench, where a file of weights could be named."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which encoder on which fingerprint; this is what a gallery is made with, and read again by."""

    fingerprint: Kind = "levels"
    mode: Mode = "full"
    """What of the 256 px map a ResNet-50 gets: all, or its most or least complex tile, enlarged."""
    weights: str = PACKAGED
    """A file with weights of a ResNet-50, or `PACKAGED`."""
