"""Leak checks: detectors that know nothing about models. A task whose sets one of them tells apart leaks."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from iarbench.harness import codec_control
from iarbench.harness.plan import Plan
from iarbench.images.compact import where
from iarbench.images.record import ImageRecord
from iarbench.images.spread import spread
from iarbench.images.traits import grey_of
from iarbench.images.trivial import AT_LEAST, AT_MOST, HIGH, LOW, OF_FILE, OF_PICTURE, area
from iarbench.models import variants

Areas = dict[str, dict[str, dict[str, float]]]
"""target -> trivial property -> non-member set -> AUROC in [0, 1] of that property on clean test images; 0.5 = it says
nothing."""


def warnings_of(areas: Areas) -> list[str]:
    """A line for every property that separates some target's members from some set."""
    found: dict[str, list[str]] = {}
    for target, traits in areas.items():
        for name, by_set in traits.items():
            if name in codec_control.NAMES:
                continue  # what was measured for the control, not on the files
            if apart := [f"{other} (AUROC {value:.3f})" for other, value in by_set.items() if not LOW <= value <= HIGH]:
                found.setdefault(name, []).append(f"{target} from {', '.join(apart)}")
    return [
        f"warning: {name} alone separates {'; '.join(pairs)}: the sets were not treated alike, or the generator leaves "
        "this trace; a detector may have learnt no more than that"
        for name, pairs in found.items()
    ]


def check_leaks(plan: Plan) -> Areas:
    """Every trivial property of every target against every non-member set."""
    task, spec = plan.task, plan.task.spec
    sources = dict.fromkeys((*spec.real, *task.generators))

    @cache
    def traits_of(source: str, split: str, size: int | None) -> list[dict[str, float | str]]:
        records = _sample(plan, source, split)
        return [_traits(record if size is None else spec.preparation.record(record, size)) for record in records]

    areas: Areas = {}
    for target in spec.targets:
        # Files as they are stored are the same for every target; those that the task makes have its size.
        size = None if spec.container == "stored" else variants.get(target).image_size
        others = {source: traits_of(source, spec.nonmember_split, size) for source in sources}
        members = traits_of(target, spec.member_split, size)
        areas[target] = {
            name: {
                source: area([traits[name] for traits in members], [traits[name] for traits in others[source]])
                for source in sources
                if source != target and min(len(members), len(others[source])) >= AT_LEAST
            }
            for name in (*OF_FILE, *OF_PICTURE, *codec_control.NAMES)
        }
    return areas


def _traits(record: ImageRecord) -> dict[str, float | str]:
    image = record.pil()
    grey = grey_of(image)
    of_file = {name: measure(record) for name, measure in OF_FILE.items()}
    return of_file | {name: measure(grey) for name, measure in OF_PICTURE.items()} | codec_control.traits_of(image)


def _sample(plan: Plan, source: str, split: str) -> list[ImageRecord]:
    places = where(plan.index, source=source, split=split)
    chosen = places[list(spread(range(len(places)), AT_MOST))]
    return plan.images.read(plan.index.column("image_id").take(pa.array(chosen)).to_pylist())
