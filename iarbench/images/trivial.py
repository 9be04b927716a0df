"""What tells images apart without any model: properties of the stored file and of the picture, and how far they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from iarbench.images.record import ImageRecord
from iarbench.images.traits import Grey, blockiness, high_frequency, sharpness

LOW, HIGH = 0.1, 0.9
"""An AUROC outside these bounds tells two sets apart."""

AT_LEAST = 20
"""Images that a set needs to be judged: by chance alone, two sets of so many hardly ever look apart (4 in 100,000)."""

AT_MOST = 300
"""Images looked at in each set; enough to see such an AUROC."""

OF_FILE: dict[str, Callable[[ImageRecord], float | str]] = {
    "file size": lambda record: float(len(record.bytes)),
    "file format": lambda record: record.format,
    "image width": lambda record: float(record.width),
    "image height": lambda record: float(record.height),
}
OF_PICTURE: dict[str, Callable[[Grey], float]] = {
    "8x8 blockiness": blockiness,
    "high-frequency energy": high_frequency,
    "sharpness": sharpness,
}


def area(members: Sequence[Any], others: Sequence[Any]) -> float:
    """AUROC in [0, 1] of one property, numbers or text; 0.5: it says nothing. Of text: whether it is the members' most
    frequent one.
    """
    from iarbench.stats.metrics import auroc
    from iarbench.stats.thresholds import Scores

    if isinstance(members[0], str):
        usual = Counter(members).most_common(1)[0][0]
        members, others = ([float(value == usual) for value in side] for side in (members, others))
    return round(auroc(Scores.of(members), Scores.of(others)).value, 6)
