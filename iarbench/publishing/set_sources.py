"""What the card of a published image set says about its sources: licences, authors, how they were made, lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iarbench.models import variants
from iarbench.publishing.staging import Part, Staged
from iarbench.text_table import markdown_table

if TYPE_CHECKING:
    import pandas as pd

    from iarbench.models.variants import Variant

_AUTHORS = 12
"""Authors named in the card; all stand in their rows."""


def sources_table(parts: Sequence[Part], index: pd.DataFrame | None) -> str:
    """A row per configuration: licences, authors, images by split."""
    if index is None:
        return "None: see the lists below."
    splits = list(dict.fromkeys(part.hub_split for part in parts))
    body = []
    for source, rows in index.groupby("source", sort=True):
        own = [part for part in parts if part.source == source]
        counts = {part.hub_split: f"{part.images:,}" for part in own}
        stated = Counter(rows["licence"]).most_common()
        licences = ", ".join(f"{plain(name)}{f' ({count})' if len(stated) > 1 else ''}" for name, count in stated)
        body.append([f"`{own[0].config}`", licences, _authors(rows), *(counts.get(split, "") for split in splits)])
    return markdown_table(["configuration", "licence", "author", *splits], body, 3)


def _authors(rows: pd.DataFrame) -> str:
    names = [name for name, _ in Counter(rows["author"].dropna()).most_common()]
    if not names:
        source = rows["source"].iloc[0]
        return f"made by {source}" if source in variants.names() else "not known"
    more = f" and {len(names) - _AUTHORS} more" if len(names) > _AUTHORS else ""
    return ", ".join(map(plain, names[:_AUTHORS])) + more


def made_list(generated: Mapping[str, Variant], known: Mapping[str, str], index: pd.DataFrame | None) -> str:
    """How each source was made, generators first; `known`: how they were sampled, where that is known."""
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


def settings_text(settings: Mapping[str, Any]) -> str:
    """Sampling settings in a sentence: "cfg 5.0, top_k 0"."""
    return ", ".join(f"{key} {value}" for key, value in settings.items()) or "no parameters"


def listed_table(staged: Staged) -> str:
    """A row per list and reason; "" where nothing is listed."""
    body = [
        [f"`{one.file}`", reason, f"{count:,}"]
        for one in staged.listed
        for reason, count in sorted(one.reasons.items())
    ]
    return markdown_table(["list", "why", "images"], body, 2) if body else ""


def rebuild_commands(staged: Staged, repo: str, short: str) -> str:
    """Commands that make the whole set from the repository and one's own files."""
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


def plain(text: str) -> str:
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
