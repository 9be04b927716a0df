"""Detection against how strong an attack is and against what it leaves of the images: the numbers behind the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean

from iarbench.attack import Attack, Chain, Identity, parse
from iarbench.errors import UserError
from iarbench.parameters import listed
from iarbench.results.exports import records_as_csv
from iarbench.results.rows import Row
from iarbench.results.view import Line, View, chosen_fpr, lines_of, primary_metric


@dataclass(frozen=True, slots=True)
class Point:
    """One detector, with one encoder, on one target under one attack."""

    detector: str
    encoder: str
    target: str
    attack: str
    kind: str
    """What curves are drawn of: the attack without its strength, such as "jpeg"; its name, where it has none."""
    field: str
    """Which parameter of the attack is its strength; "" where it has none."""
    strength: float | None
    psnr: float | None
    """Median in dB of what the attack left; None for clean images."""
    ssim: float | None
    metric: str
    fpr: float | None
    """Nominal rate; None for AUROC."""
    value: float | None
    low: float | None
    high: float | None


def points_of(rows: Sequence[Row], fpr: float | None = None) -> list[Point]:
    """A point per line of the table with all encoders: the primary metric at its matched threshold, pooled non-members.

    Raises:
        UserError: there are no rows, or none at this rate.
    """
    metric = primary_metric(rows)
    lines = lines_of(rows, View(fpr=fpr, all_encoders=True))
    strengths = strengths_of(dict.fromkeys(line.attack for line in lines))
    return [
        _point(line, row, strengths[line.attack], chosen_fpr(rows, fpr)) for line in lines if (row := line.main(metric))
    ]


def _point(line: Line, row: Row, strength: tuple[str, str, float | None], fpr: float | None) -> Point:
    return Point(
        line.detector, line.encoder, line.target, line.attack, *strength, row.psnr, row.ssim, row.metric,
        fpr if row.fpr_nominal is not None else None, row.value, row.low, row.high,
    )  # fmt: skip


def strengths_of(names: Sequence[str] | dict[str, None]) -> dict[str, tuple[str, str, float | None]]:
    """Attack -> kind, the parameter that is its strength, and the strength; chains, and what has none: name, "", None.

    Of an attack's numbers the strength is the one that varies most among `names`, by default the first. Attacks of one
    kind have all other parameters in common where that is needed to tell two of one strength apart.
    """
    groups: dict[str, dict[str, Attack]] = {}
    found: dict[str, tuple[str, str, float | None]] = {name: (name, "", None) for name in names}
    for name in names:
        try:
            attack = parse(name)
        except UserError:  # of a file that is not known here
            continue
        if not isinstance(attack, Identity | Chain):
            groups.setdefault(_words(attack), {})[name] = attack
    for kind, attacks in groups.items():
        found |= _of_kind(kind, attacks)
    return found


def _values(attack: Attack) -> dict[str, bool | int | float | str]:
    return {field.name: getattr(attack, field.name) for field in fields(attack)}  # type: ignore[arg-type]


def _numbers(attack: Attack) -> dict[str, float]:
    return {name: value for name, value in _values(attack).items() if type(value) in (int, float)}  # type: ignore[misc]


def _words(attack: Attack) -> str:
    """The attack without its numbers: its prefix, and parameters that are words and have not their default."""
    defaults = {field.name: field.default for field in fields(attack)}  # type: ignore[arg-type]
    words = {
        name: value
        for name, value in _values(attack).items()
        if isinstance(value, str | bool) and value != defaults[name]
    }
    return f"{attack.prefix} {listed(words)}".strip()


def _of_kind(kind: str, attacks: dict[str, Attack]) -> dict[str, tuple[str, str, float | None]]:
    numbers = {name: _numbers(attack) for name, attack in attacks.items()}
    every = list(next(iter(numbers.values())))
    if not every:
        return dict.fromkeys(attacks, (kind, "", None))
    field = max(every, key=lambda one: len({values[one] for values in numbers.values()}))
    strengths = [values[field] for values in numbers.values()]
    twice = len(set(strengths)) < len(strengths)
    return {
        name: (" ".join([kind, *_rest(values, field)]) if twice else kind, field, values[field])
        for name, values in numbers.items()
    }


def _rest(values: dict[str, float], field: str) -> list[str]:
    return [listed({name: value for name, value in values.items() if name != field})] if len(values) > 1 else []


def stronger_is_less(points: Sequence[Point]) -> bool:
    """Whether a smaller number of these points' attacks does more: what it leaves rises with the number."""
    pairs = [(p.strength, p.psnr) for p in points if p.strength is not None and p.psnr is not None]
    if not pairs:
        return False
    x, y = (fmean(one) for one in zip(*pairs, strict=True))
    return sum((strength - x) * (psnr - y) for strength, psnr in pairs) > 0


def as_csv(points: Sequence[Point]) -> str:
    """The points as a table with a header; nothing stands for what there is not."""
    return records_as_csv([asdict(point) for point in points])
