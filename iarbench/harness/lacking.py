"""What a task needs that is not here: weight files and images, each with its size, its origin and the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iarbench.attack import parse
from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.harness.choose import choose_all
from iarbench.harness.costs import LOSSLESS_BYTES_A_PIXEL
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.variants import FINE_TUNED, Variant, WeightFile
from iarbench.models.weights import encoders, find
from iarbench.specs import GENERATED, SetRecipe
from iarbench.task import Task

TRAINED = "trained here, on images of the generator"
WEIGHTS = "weights"
"""The folder that commands put weights into, unless the user names one."""
FINETUNE_IMAGES = 50_000
"""Images of its own that the paper trains an inverse encoder on (its Table A1, quoted by third parties)."""
_TEXT_ENCODERS = {"google/flan-t5-xl": "about 11 GB"}


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing."""

    kind: str
    """weights or images"""
    what: str
    size: str
    """about, "" if unknown"""
    where: str
    command: str
    source: str = ""
    """of images"""

    def dump(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def lacking(task: Task, weights_dir: Path | None) -> list[Lack]:
    """Everything that `task` needs and this machine lacks; nothing is downloaded, no torch.

    Weights: tokenizers and encoders of the targets, tokenizers that attacks go through, and transformers where a
    detector reads them or where the task says how its images are made and some are missing. Images: only where the task
    says how they are made (`sets`).
    """
    missing = missing_counts(task)
    images = [_images(task, *one) for one in missing]
    images.sort(key=lambda one: one.source not in task.spec.real)  # captions before prompts
    to_make = {source for source, _, _ in missing if source in task.generators}
    reads = any("transformer" in choice.kind.reads for choice in choose_all(task.spec.detectors))
    with_transformer = dict.fromkeys(task.spec.targets, reads)
    with_transformer |= {name: True for name in task.generators if name in to_make}
    for model in (model for attack in task.spec.attacks for model in parse(attack).tokenizers()):
        with_transformer.setdefault(model, False)
    weights: dict[str, Lack] = {}
    for name, transformer in with_transformer.items():
        for lack in _weights(name, task, weights_dir, transformer):
            weights.setdefault(f"{lack.where} {lack.what.partition(' for ')[0]}", lack)
    fetched, trained = ([one for one in weights.values() if (one.where == TRAINED) == made] for made in (False, True))
    return [*fetched, *images, *trained]


def missing_counts(task: Task) -> list[tuple[str, str, int]]:
    """(source, split, images that are there) of every set with too few of them."""
    if not task.spec.sets:
        return []
    try:
        index = ImageSet.open(images_path(task.spec.images)).index()
        have = index.groupby(["source", "split"]).size().to_dict()
    except UserError:
        have = {}
    return [
        (source, split, int(have.get((source, split), 0)))
        for source in (*task.generators, *task.spec.real)
        for split, count in recipe_of(task, source).images.items()
        if have.get((source, split), 0) < count
    ]


def recipe_of(task: Task, source: str) -> SetRecipe:
    sets = task.spec.sets
    if source in sets:
        return sets[source]
    if source in task.generators and GENERATED in sets:
        return sets[GENERATED]
    return SetRecipe()


def _images(task: Task, source: str, split: str, there: int) -> Lack:
    recipe = recipe_of(task, source)
    count = recipe.images[split]
    size = _size(count, recipe.kilobytes or (_kilobytes(source) if source in task.generators else None))
    have = "" if not there else f", {there} are there"
    command = _command(task, source, split)
    return Lack("images", f"{source}/{split}: {count} images{have}", size, recipe.page, command, source)


def _command(task: Task, source: str, split: str) -> str:
    recipe = recipe_of(task, source)
    before = list(recipe.images)[: list(recipe.images).index(split)]
    values = {
        "source": source,
        "split": split,
        "count": recipe.images[split],
        "skip": sum(recipe.images[one] for one in before),
        "images": task.spec.images,
        "out": f"{task.spec.images}/{source}-{split}",
    }
    return recipe.command.format_map(values)


def _size(count: int, kilobytes: float | None) -> str:
    if kilobytes is None:
        return ""
    megabytes = count * kilobytes / 1000
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def _kilobytes(source: str) -> float:
    return float(variants.get(source).image_size ** 2 * LOSSLESS_BYTES_A_PIXEL / 1000)


def _weights(name: str, task: Task, weights_dir: Path | None, transformer: bool) -> Iterator[Lack]:
    variant = variants.get(name)
    wanted = ["tokenizer", *(["transformer"] if transformer and "transformer" in variant.files else [])]
    if name in task.spec.targets:
        there = encoders(variant, weights_dir)
        wanted += [one for one in task.spec.encoders if one in variant.files]
        for encoder in task.spec.encoders:
            if encoder in FINE_TUNED and encoder not in there:
                yield _to_train(variant, encoder, weights_dir)
    for part in wanted:
        if find(variant, part, weights_dir) is None:
            yield _to_fetch(variant, part, variant.files[part], weights_dir)
    text = variant.transformer.get("text_model")
    if transformer and text and text != "bytes":
        from iarbench.hub import cached_file

        if cached_file(text, "config.json") is None:
            size = _TEXT_ENCODERS.get(text, "")
            yield Lack("weights", f"{text} for {name}", size, f"https://huggingface.co/{text}", f"hf download {text}")


def _to_fetch(variant: Variant, part: str, file: WeightFile, weights_dir: Path | None) -> Lack:
    what = f"{file.name} for {variant.name} ({part})"
    if file.repo is not None:
        revision = f" --revision {file.revision}" if file.revision else ""
        command = f"hf download {file.repo} {file.file}{revision}"
        return Lack("weights", what, file.size or "", f"https://huggingface.co/{file.repo}", command)
    folder = weights_dir or WEIGHTS
    command = f"save it as {folder}/{file.name}, and run with --weights {folder}"
    return Lack("weights", what, file.size or "", file.url or str(variant.folder), command)


def _to_train(variant: Variant, encoder: str, weights_dir: Path | None) -> Lack:
    folder = weights_dir or WEIGHTS
    augment = " --augment" if encoder == "inverse-aug" else ""
    command = f"iarbench finetune --generator {variant.name} --count {FINETUNE_IMAGES}{augment} --out {folder}"
    return Lack("weights", f"{variant.stem}-{encoder}.safetensors for {variant.name}", "", TRAINED, command)
