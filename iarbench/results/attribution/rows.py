"""AttributionRow: one number about which generator made an image; the lines of results.jsonl of such a task."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from iarbench.results.rows import Fraction

ATTRIBUTION_ROW_SCHEMA: Literal[1] = 1
"""Version of the fields of a row."""

ATTRIBUTION_METRIC_VERSION = 1
"""Version of how values and intervals follow from scores; numbers of two versions are not compared."""

NONE = "none"
"""The class of images that no known generator made, and the answer for them."""

EVERY = "all"
"""The subject of a number that is a mean over classes or families."""

RANK1, MAP, BALANCED, RECALL, NAMED = "rank1", "map", "balanced_accuracy", "recall", "named"
CLOSED, OPEN, LEFT_OUT = "closed", "open", "left-out"


class AttributionRow(BaseModel):
    """One metric of one score of one detector over all its targets, under one attack.

    Metrics, each in [0, 1]:

    * ``rank1`` (closed set): images of the subject whose highest standardised score is their own generator's;
    * ``map`` (closed set): mean of 1/rank of it, which is the average precision with one relevant target a query;
    * ``recall`` (open set): images of the subject that are named, and rightly;
    * ``named`` (open set, left-out): images of the subject, which no known generator made, that are named all the same;
    * ``balanced_accuracy`` (open set, left-out): mean over classes, ``none`` among them, of images answered rightly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = ATTRIBUTION_ROW_SCHEMA
    kind: Literal["attribution"] = "attribution"
    metric_version: int = ATTRIBUTION_METRIC_VERSION
    """of how values and intervals follow from scores"""
    task: str
    task_version: int
    detector: str
    detector_version: int
    parameters: str
    score_name: str
    main: bool
    """whether the score is the one that stands for its detector"""
    fitted: bool
    """whether it learnt from images of the split `fit`: those of a left-out family were among them, as non-members"""
    encoder: str
    precision: str
    targets: tuple[str, ...]
    """the generators that could be named"""
    target_weights: tuple[str, ...]
    """hash of the weights that each one's scores depend on"""
    attack: str
    attack_version: int
    level: Literal["model", "family"] | None
    """what is to be told apart; None where it is only whether any is named"""
    setting: Literal["closed", "open", "left-out"]
    """closed: images of the targets alone, all named; open: "none" is an answer; left-out: open, with the family
    `left_out` unknown"""
    left_out: str | None = None
    """the family; None in the other settings, and for the mean over families"""
    metric: Literal["rank1", "map", "recall", "named", "balanced_accuracy"]
    subject: str
    """whose images: a generator, a family, a source of real images, or `all` classes"""
    primary: bool = False
    """whether this is the number that detectors are compared by: balanced accuracy of models in the open set at the
    task's first rate and the matched threshold, by the detector's main score"""
    threshold_kind: Literal["matched", "transfer"]
    """whether units and threshold come from calibration images under the same attack, or from clean ones"""
    fpr_nominal: float | None = None
    """the rate at which images of none may be named, in (0, 1); None for the closed set"""
    threshold: float | None = None
    """in standardised units: an image whose highest score is above it is named"""
    value: Fraction | None = None
    """None where it cannot be had, see `reason`"""
    low: Fraction | None = None
    """lower end of the 95% interval"""
    high: Fraction | None = None
    """upper end of the 95% interval"""
    chance: Fraction | None = None
    """what a guess among as many classes reaches"""
    predicted: tuple[str, ...] = ()
    """of a balanced accuracy: the answers, in the order of the columns of `confusion`"""
    confusion: dict[str, tuple[Fraction, ...]] = {}
    """source or class of the test images -> fraction that got each answer; ties are divided"""
    n_images: int
    """test images that the number is about"""
    n_groups: int
    """independent units among them"""
    n_calibration: int
    """images that units and threshold come from"""
    psnr: float | None = None
    """what the attack left of the targets' test images, median in dB; None for clean ones, or if it was not measured"""
    ssim: float | None = None
    """likewise the median SSIM"""
    seconds_per_image: float
    """for all targets together, as if each were scored alone"""
    images_fingerprint: str
    """over exactly the images that the number stands on"""
    iarbench_version: str
    reason: str | None = None
    """why there is no value"""
    source: str | None = None
    """on a board, of a detector that is not iarbench's own: its file there, or a repository and commit"""
    submission: str | None = None
    """on a board: the submission that it is part of"""
