"""How long a task takes and how much it stores, from what an image of full-size models is known to cost."""

from __future__ import annotations

from iarbench.harness import costs
from iarbench.harness.lacking import Lack, missing_counts, recipe_of
from iarbench.models import variants
from iarbench.progress import duration
from iarbench.task import Task

_UNITS = {"GB": 1e9, "MB": 1e6}


def estimate(task: Task, lacks: list[Lack]) -> list[str]:
    """Lines on time and disk, each with whose numbers it rests on."""
    spec = task.spec
    scored = {target: _images(task, target) * len(spec.attacks) * len(spec.encoders) for target in spec.targets}
    return [*_generation(task), *_scoring(task, scored), _disk(task, lacks, sum(scored.values()))]


def _generation(task: Task) -> list[str]:
    to_make: dict[str, int] = {}
    for source, split, there in missing_counts(task):
        if source in task.generators:
            to_make[source] = to_make.get(source, 0) + recipe_of(task, source).images[split] - there
    known = {name: costs.GENERATE[name].seconds * count for name, count in to_make.items() if name in costs.GENERATE}
    unknown = [name for name in to_make if name not in known]
    lines = []
    if known:
        each = ", ".join(f"{name} {duration(seconds)}" for name, seconds in known.items())
        lines.append(f"making images: {each} ({costs.GENERATE[next(iter(known))].source})")
    if unknown:
        lines.append(f"making images of {', '.join(unknown)}: nobody's number is stored; `iarbench generate` shows one")
    return lines


def _scoring(task: Task, scored: dict[str, int]) -> list[str]:
    detectors = [name for name in task.spec.detectors if name in costs.ON_GPU]
    others = [name for name in task.spec.detectors if name not in costs.ON_GPU]
    total = sum(scored.values())
    lines = [f"scoring: {total:,} images under {len(task.spec.attacks)} attacks for each of {len(detectors)} detectors"]
    on_gpu = total * sum(costs.ON_GPU[name] for name in detectors)
    lines.append(f"  one GPU: {duration(on_gpu)} ({costs.PAPER})")
    searched = sum(count for target, count in scored.items() if variants.get(target).family == "var")
    if searched and {"quantloss", "combined"} & set(detectors):
        seconds = searched * costs.VAR_SEARCH.seconds
        lines.append(f"  VAR's token search, on one CPU core: {duration(seconds)} ({costs.VAR_SEARCH.source})")
    if others:
        lines.append(f"  not in this: {', '.join(others)}, of which no full-size number is stored")
    return lines


def _disk(task: Task, lacks: list[Lack], scored: int) -> str:
    sizes = {kind: sum(_bytes(one.size) for one in lacks if one.kind == kind) for kind in ("weights", "images")}
    scores = scored * len(task.spec.detectors) * costs.SCORE_BYTES
    unknown = sum(not one.size for one in lacks)
    more = f"; {unknown} of unknown size are not in this" if unknown else ""
    return (
        f"disk: {sizes['weights'] / 1e9:.1f} GB of weights, {sizes['images'] / 1e9:.1f} GB of images, about "
        f"{scores / 1e9:.2g} GB of scores{more}"
    )


def _images(task: Task, target: str) -> int:
    """Images that are looked at for a target under one attack, by the task's recipes."""
    spec = task.spec
    count = recipe_of(task, target).images.get(spec.member_split, 0)
    for source in task.nonmembers(target):
        images = recipe_of(task, source).images
        count += sum(images.get(split, 0) for split in {spec.nonmember_split, spec.calibration_split})
    return count


def _bytes(size: str) -> float:
    number, _, unit = size.removeprefix("about ").partition(" ")
    return float(number) * _UNITS[unit] if size else 0.0
