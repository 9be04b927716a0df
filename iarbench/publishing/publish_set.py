"""Publishing an image set: staged, audited, described, sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from iarbench.audit.report import audit_sets
from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.hub_upload import CARD
from iarbench.images.image_set import ImageSet
from iarbench.publishing.sending import Sending, send
from iarbench.publishing.set_card import About, set_card
from iarbench.publishing.set_sources import settings_text
from iarbench.publishing.staging import OWNED, Staged, stage
from iarbench.text_table import aligned


def publish_set(name: str, licences: Mapping[str, str], notes: str, how: Sending) -> list[str]:
    """Publish the set that the user calls `name`; lines for the terminal.

    Args:
        name: a name, a path or hf:owner/name@revision.
        licences: source -> licence of its images that state none.
        notes: Markdown for the end of the card.
        how: where to, and whether to send at all.

    Raises:
        UserError: the set is damaged, or what `stage` and `iarbench.hub_upload.upload` raise.
    """
    place = images_path(name)
    images = ImageSet.open(place)
    sources = sorted(set(images.small_columns().column("source").to_pylist()))
    if strange := sorted(licences.keys() - set(sources)):
        raise UserError(f"--licence {strange[0]}: no such source; sources: {', '.join(sources)}")
    sampling = _sampling(place)

    def fill(folder: Path) -> list[str]:
        found = audit_sets([name], [images])
        if damage := found.of("damage"):
            lines = f"{len(damage)} things are damaged (the first: {damage[0].line})"
            raise UserError(f"{name}: {lines}; `iarbench audit {name}` names them all")
        staged = stage(images, name, folder, licences)
        limits = [one.line for level in ("leak", "note") for one in found.of(level) if one.check != "licences"]
        write_text(folder / CARD, set_card(staged, About(how.to.name, images, limits, sampling, notes)))
        return [*_told(staged), *(f"leak: {one.line}" for one in found.of("leak"))]

    return send(how, fill, OWNED)


def _sampling(place: Path) -> dict[str, str]:
    """How `iarbench generate` made the set, as it has written beside it: generator -> a sentence."""
    file = place / "generation.json"
    if not file.is_file():
        return {}
    try:
        made = json.loads(file.read_text(encoding="utf-8"))
        settings = settings_text(made["settings"])
        text = f"Sampling {made['sampling']!r}: {settings}; seed {made['seed']}; iarbench {made['iarbench']}"
        return {str(made["generator"]): text}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{file}: damaged; delete it, or make the set again") from None


def _told(staged: Staged) -> list[str]:
    splits = list(dict.fromkeys(part.hub_split for part in staged.parts))
    rows = [["configuration", *splits]]
    for config in dict.fromkeys(part.config for part in staged.parts):
        counts = {part.hub_split: f"{part.images:,}" for part in staged.parts if part.config == config}
        rows.append([config, *(counts.get(split, "") for split in splits)])
    lines = aligned(rows) if staged.parts else ["no image may be published"]
    for one in staged.listed:
        for reason, count in sorted(one.reasons.items()):
            lines.append(f"listed, not published: {count:,} images of {one.source}: {reason}")
    return lines
