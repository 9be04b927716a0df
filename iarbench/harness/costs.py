"""What full-size models cost an image, as far as somebody has measured it, and whose number that is."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds per image."""

    seconds: float
    source: str
    """Who measured it, and on what."""


_TRACER = "github.com/rizvisaira/iar-model-tracer, NVIDIA A40"
GENERATE: dict[str, Cost] = {
    name: Cost(seconds, _TRACER)
    for name, seconds in {
        **{"rar-b": 0.157, "rar-l": 0.198, "rar-xl": 0.305, "rar-xxl": 0.415},
        **{"var-d16": 0.048, "var-d20": 0.058, "var-d24": 0.078, "var-d30": 0.108},
    }.items()
}
"""Generator -> an image of it."""

PAPER = "arXiv 2606.28386 as third-party notes quote it: QuantLoss below 10 ms, twice as fast as reconstruction, four "
PAPER += "times as fast as AEDR; without VAR's token search"
ON_GPU: dict[str, float] = {"quantloss": 0.010, "reconstruction": 0.020, "encloss": 0.040, "combined": 0.040}
"""Detector -> seconds per image on the paper's GPU."""

VAR_SEARCH = Cost(0.58, "benchmarks/results/token_search_full.json: one core of a 2.5 GHz Xeon")
"""VAR's token search at full size, which the paper's number leaves out."""

LOSSLESS_BYTES_A_PIXEL = 1.25
"""Lossless WebP of 60 photographs at 256 px."""
SCORE_BYTES = 104
"""A stored score with its image id and hash, mean of 200 parts of stored runs."""
