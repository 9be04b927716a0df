"""The card of a published image set: what is in it and from whom, how it was made, what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iarbench.hub import dataset_card
from iarbench.hub_upload import TAG
from iarbench.images.shards import COLUMNS, SCHEMA_VERSION
from iarbench.models import variants
from iarbench.publishing.licences import terms_of
from iarbench.publishing.set_sources import listed_table, made_list, plain, rebuild_commands, sources_table
from iarbench.publishing.staging import DEFAULT, SAMPLES, Part, Staged
from iarbench.text_table import markdown_table

if TYPE_CHECKING:
    from iarbench.images.image_set import ImageSet
    from iarbench.models.variants import Variant

FINGERPRINT = "fingerprint"
"""Key in the part `iarbench` of the front matter, which `iarbench images pull` reads."""

_MEANING = {
    "image": "the file as it was made or found, and where it came from (`bytes`, `path`)",
    "image_id": "unique within the set; it seeds the attacks",
    "sha256": "of the bytes",
    "source": "the generator, or the set of real images",
    "split": "test, calibration, fit, train, ...",
    "group": "one unit in statistics: the image itself, or the photograph or photographer it belongs to",
    "condition": "class or prompt, empty if none",
    "seed": "of the generator, null for real images",
    "tokens": "of the generator, null for real images",
    "width": "pixels, after EXIF orientation",
    "height": "pixels, after EXIF orientation",
    "format": "the container, as Pillow calls it",
    "licence": "under which the image may be used",
    "author": "whom to name, null if unknown",
    "page": "where the image was published, null if unknown",
    "source_sha256": "of the file that was treated, null where nothing was done to it",
    "treatment": "what was done to that file",
}


@dataclass(frozen=True)
class About:
    """What the card says beyond what the files hold."""

    repo: str
    """owner/name"""
    whole: ImageSet
    """The set with the images that are listed only."""
    limits: Sequence[str]
    """What an audit has found, a line each."""
    sampling: Mapping[str, str]
    """generator -> how its images were sampled, where it is known."""
    notes: str = ""
    """Markdown of the user's."""


def set_card(staged: Staged, about: About) -> str:
    """The text of README.md."""
    index = None if staged.published is None else staged.published.index()
    images = 0 if index is None else len(index)
    generated = {name: variants.get(name) for name in {part.source for part in staged.parts} & set(variants.names())}
    short = about.repo.rpartition("/")[2]
    first = _example(staged.parts, set(generated))
    fingerprint = "" if staged.published is None else staged.published.fingerprint
    data = _front_matter(staged, short, images, fingerprint, about.whole)
    return dataset_card(
        data,
        "published_set.md",
        repo=about.repo,
        title=short,
        short=short,
        summary=_summary(staged, images, len(generated)),
        grid=SAMPLES if staged.parts else "",
        example=first and {"config": first.config, "split": first.hub_split},
        sources=sources_table(staged.parts, index),
        made=made_list(generated, about.sampling, index),
        columns=markdown_table(["column", "what it holds"], [[f"`{name}`", _MEANING[name]] for name in COLUMNS], 2),
        listed=listed_table(staged),
        rebuild=rebuild_commands(staged, about.repo, short),
        whole_fingerprint=about.whole.fingerprint,
        fingerprint=fingerprint,
        images=f"{images:,}",
        limits="\n".join(f"- {line}" for line in [*map(_sentence, about.limits), *_always(generated)]),
        notes=about.notes.strip(),
    )


def _example(parts: Sequence[Part], generated: set[str]) -> Part | None:
    """The part that the card reads by way of an example: test images of a generator, if there are some."""
    return min(parts, key=lambda part: (part.source not in generated, part.split != "test"), default=None)


def _front_matter(staged: Staged, short: str, images: int, fingerprint: str, whole: ImageSet) -> dict[str, Any]:
    licences = sorted({terms_of(licence).hub for licence in staged.licences.values()})
    splits = list(dict.fromkeys(part.hub_split for part in staged.parts))
    everything = [{"split": split, "path": f"data/*/{split}/*.parquet"} for split in splits]
    configs = [{"config_name": DEFAULT, "data_files": everything, "default": True}] if staged.parts else []
    for config in dict.fromkeys(part.config for part in staged.parts):
        files = [
            {"split": part.hub_split, "path": f"{part.folder}/*.parquet"}
            for part in staged.parts
            if part.config == config
        ]
        configs.append({"config_name": config, "data_files": files})
    stated: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "images": images}
    if images:
        stated[FINGERPRINT] = fingerprint
    if staged.listed:
        stated |= {"listed": sum(sum(one.reasons.values()) for one in staged.listed), "whole": whole.fingerprint}
    return {
        "pretty_name": short,
        "license": licences[0] if len(licences) == 1 else licences or "other",
        "task_categories": ["image-classification"],
        "tags": [TAG, "image-provenance", "synthetic-image-detection", "image"],
        "size_categories": _size(images),
        "configs": configs or None,
        "iarbench": stated,
    }


def _size(images: int) -> str:
    """The Hub's name for a number of rows."""
    for below, name in ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")):
        if images < below:
            return name
    return "1M<n<10M"


def _summary(staged: Staged, images: int, generators: int) -> str:
    sources = len({part.source for part in staged.parts})
    listed = sum(sum(one.reasons.values()) for one in staged.listed)
    kinds = [f"{generators} generator{'s'[: generators != 1]}"] if generators else []
    if others := sources - generators:
        kinds.append(f"{others} other source{'s'[: others != 1]}")
    if not kinds:
        return f"No image may be published here; {listed:,} are listed by hash."
    text = f"{images:,} images of {' and '.join(kinds)}."
    return f"{text} {listed:,} more are listed by hash." if listed else text


def _sentence(line: str) -> str:
    return plain(line[:1].upper() + line[1:]) + "."


def _always(generated: Mapping[str, Variant]) -> list[str]:
    lines = ["Licences are as the sources state them; nobody has checked them image by image."]
    if generated:
        lines.append(
            "What a detector scores on these images holds for these generators at these settings; another sampling "
            "makes other images."
        )
    return lines
