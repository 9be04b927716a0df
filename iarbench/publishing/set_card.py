"""The card of a published image set: what is in it and from whom, how it was made, what it cannot tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iarbench.hub import dataset_card
from iarbench.hub_upload import TAG
from iarbench.images.shards import COLUMNS, SCHEMA_VERSION
from iarbench.models import variants
from iarbench.publishing.licences import terms_of
from iarbench.publishing.staging import DEFAULT, SAMPLES, Part, Staged
from iarbench.text_table import markdown_table

if TYPE_CHECKING:
    import pandas as pd

    from iarbench.images.image_set import ImageSet
    from iarbench.models.variants import Variant

FINGERPRINT = "fingerprint"
"""Key in the part `iarbench` of the front matter, which `iarbench images pull` reads."""
_AUTHORS = 12
"""Authors named in the card; all stand in their rows."""

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
        sources=_sources(staged.parts, index),
        made=_made(generated, about.sampling, index),
        columns=markdown_table(["column", "what it holds"], [[f"`{name}`", _MEANING[name]] for name in COLUMNS], 2),
        listed=_listed(staged),
        rebuild=_rebuild(staged, about.repo, short),
        whole_fingerprint=about.whole.fingerprint,
        fingerprint=fingerprint,
        images=f"{images:,}",
        limits="\n".join(f"- {line}" for line in [*map(_sentence, about.limits), *_always(generated)]),
        notes=about.notes.strip(),
    )


def _example(parts: Sequence[Part], generated: set[str]) -> Part | None:
    """The part that the card reads by way of an example: test images of a generator, if there are some."""
    return min(parts, key=lambda part: (part.source not in generated, part.split != "test"), default=None)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Sampling settings in a sentence: "cfg 5.0, top_k 0"."""
    return ", ".join(f"{key} {value}" for key, value in settings.items()) or "no parameters"


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
    stated = {"schema_version": SCHEMA_VERSION, "images": images, FINGERPRINT: fingerprint}
    if staged.listed:
        stated |= {"listed": sum(sum(one.reasons.values()) for one in staged.listed), "whole": whole.fingerprint}
    return {
        "pretty_name": short,
        "license": licences[0] if len(licences) == 1 else licences or "other",
        "task_categories": ["image-classification"],
        "tags": [TAG, "image-provenance", "synthetic-image-detection", "image"],
        "size_categories": _size(images),
        "configs": configs,
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
    text = f"{images:,} images of {' and '.join(kinds)}." if kinds else "No image may be published here."
    return f"{text} {listed:,} more are listed by hash." if listed else text


def _sources(parts: Sequence[Part], index: pd.DataFrame | None) -> str:
    if index is None:
        return "None: see the lists below."
    splits = list(dict.fromkeys(part.hub_split for part in parts))
    body = []
    for source, rows in index.groupby("source", sort=True):
        own = [part for part in parts if part.source == source]
        counts = {part.hub_split: f"{part.images:,}" for part in own}
        stated = Counter(rows["licence"]).most_common()
        licences = ", ".join(f"{_plain(name)}{f' ({count})' if len(stated) > 1 else ''}" for name, count in stated)
        body.append([f"`{own[0].config}`", licences, _authors(rows), *(counts.get(split, "") for split in splits)])
    return markdown_table(["configuration", "licence", "author", *splits], body, 3)


def _authors(rows: pd.DataFrame) -> str:
    names = [name for name, _ in Counter(rows["author"].dropna()).most_common()]
    if not names:
        source = rows["source"].iloc[0]
        return f"made by {source}" if source in variants.names() else "not known"
    more = f" and {len(names) - _AUTHORS} more" if len(names) > _AUTHORS else ""
    return ", ".join(map(_plain, names[:_AUTHORS])) + more


def _sentence(line: str) -> str:
    return _plain(line[:1].upper() + line[1:]) + "."


def _plain(text: str) -> str:
    """Text of others inside a Markdown table: no HTML, no links, no end of the cell."""
    for char, instead in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
        ("[", "&#91;"),
        ("`", "&#96;"),
    ):
        text = text.replace(char, instead)
    return " ".join(text.split())


def _made(generated: Mapping[str, Variant], known: Mapping[str, str], index: pd.DataFrame | None) -> str:
    lines = []
    for name, variant in sorted(generated.items()):
        files = [file for part, file in variant.files.items() if part in ("tokenizer", "transformer")]
        where = ", ".join(f"{file.repo}/{file.file}" if file.repo else str(file.name) for file in files)
        default = f"Default sampling: {settings_text(variant.sampling['default'])}"
        lines.append(
            f"- **{name}**: {variant.image_size} px, family {variant.family} ({variant.citation}). Weights: {where} "
            f"({variant.licence}). {known.get(name, default)}."
        )
    if index is not None:
        for source, rows in index[~index["source"].isin(list(generated))].groupby("source", sort=True):
            done = Counter("as found" if not isinstance(one, str) else f"`{one}`" for one in rows["treatment"])
            kinds = Counter(f"{row.width} x {row.height} {row.format}" for row in rows.itertuples()).most_common(3)
            sizes = ", ".join(kind for kind, _ in kinds)
            treated = ", ".join(f"{one} ({count})" if len(done) > 1 else one for one, count in done.most_common())
            lines.append(
                f"- **{source}**: {len(rows):,} images in {rows['group'].nunique():,} groups; {sizes}; {treated}."
            )
    return "\n".join(lines)


def _listed(staged: Staged) -> str:
    body = [
        [f"`{one.file}`", reason, f"{count:,}"]
        for one in staged.listed
        for reason, count in sorted(one.reasons.items())
    ]
    return markdown_table(["list", "why", "images"], body, 2) if body else ""


def _rebuild(staged: Staged, repo: str, short: str) -> str:
    if not staged.listed:
        return ""
    lines = [f"hf download {repo} --repo-type dataset --include 'lists/*' --local-dir ."]
    made = [] if staged.published is None else [f"sets/{short}"]
    if made:
        lines.append(f"iarbench images pull hf:{repo} --out sets/{short}")
    for one in staged.listed:
        out = f"sets/{one.file.removeprefix('lists/').removesuffix('.jsonl')}"
        lines.append(f"iarbench images import FILES --lock {one.file} --out {out}   # FILES: your copy of {one.source}")
        made.append(out)
    if len(made) > 1:
        lines.append(f"iarbench images join {' '.join(made)} --out sets/{short}-whole")
    return "\n".join(lines)


def _always(generated: Mapping[str, Variant]) -> list[str]:
    lines = ["Licences are as the sources state them; nobody has checked them image by image."]
    if generated:
        lines.append(
            "What a detector scores on these images holds for these generators at these settings; another sampling "
            "makes other images."
        )
    return lines
