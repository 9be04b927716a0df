"""Publishing a generator: its weights, its description and its card, which `--generator hf:owner/name` then loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from iarbench.errors import UserError
from iarbench.files import copy_atomically, sha256_file, write_text
from iarbench.hub import model_card
from iarbench.hub_upload import CARD, TAG
from iarbench.models import variants
from iarbench.models.hub_variants import DESCRIPTION
from iarbench.models.variants import Variant
from iarbench.models.weights import locate
from iarbench.publishing.licences import terms_of
from iarbench.publishing.sending import Sending, send
from iarbench.text_table import aligned, markdown_table
from iarbench.user_code import is_file_reference, split_reference


def publish_model(name: str, notes: str, how: Sending) -> list[str]:
    """Publish the generator called `name`; lines for the terminal. Weights that lie on the Hub stay where they are.

    Args:
        name: a generator of `iarbench ls generators` with weight files of its own.
        notes: Markdown for the end of the card.
        how: where to, and whether to send at all.

    Raises:
        UserError: no such generator, no files of its own, weights that are no safetensors, and what
            `iarbench.hub_upload.upload` raises.
    """
    variant = variants.get(name)
    own = {part: locate(variant, part) for part, file in variant.files.items() if file.path is not None}
    if not own:
        raise UserError(f"{name} has no weight files of its own: all of them are published already")
    if strange := [path.name for path in own.values() if path.suffix != ".safetensors"]:
        raise UserError(f"{name}: {strange[0]} is no .safetensors file, and others are not asked to open; convert it")

    def fill(folder: Path) -> list[str]:
        rows = [["part", "file", "MB", "sha256"]]
        files: dict[str, Any] = {}
        for part, path in own.items():
            copy_atomically(path, folder / path.name)
            files[part] = {"path": path.name, "sha256": sha256_file(folder / path.name)}
            size = f"{path.stat().st_size / 1e6:.1f}"
            rows.append([part, path.name, size, files[part]["sha256"]])
        text = _description(variant, files, folder)
        write_text(folder / DESCRIPTION, text)
        write_text(folder / CARD, _card(variant, how.to.name, rows, notes))
        return aligned([row[:3] for row in rows])

    return send(how, fill, ())


def _description(variant: Variant, files: dict[str, Any], folder: Path) -> str:
    """The YAML of this one generator, with its own files beside it; code in a file of the user's is copied."""
    own = variant.model_dump(mode="json", exclude={"name", "folder", "family"}, exclude_defaults=True)
    own["files"] = {part: files.get(part, kept) for part, kept in own["files"].items()}
    if is_file_reference(variant.code):
        path, attribute = split_reference(variant.code)
        copy_atomically(Path(path), folder / Path(path).name)
        own["code"] = f"./{Path(path).name}:{attribute}"
    if others := own.pop("shares_tokenizer_with", None):
        own.setdefault("card", {})["shares_tokenizer_with"] = ", ".join(others)
    name = variant.name.rpartition("/")[2].partition("@")[0]
    described = {"family": variant.family, "variants": {name: own}}
    return yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=120)


def _card(variant: Variant, repo: str, rows: list[list[str]], notes: str) -> str:
    licence = terms_of(variant.licence).hub
    data: dict[str, Any] = {"license": licence, "library_name": "iarbench", "tags": [TAG, variant.family, "image"]}
    if licence == "other":
        data |= {"license_name": "as-stated-below"}
    data["pipeline_tag"] = "text-to-image" if variant.conditions == "text" else "unconditional-image-generation"
    classes = "prompts" if variant.conditions == "text" else f"{variant.num_classes} classes"
    facts = [f"- **family**: {variant.family}", f"- **images**: {variant.image_size} px, conditions: {classes}"]
    facts += [
        f"- **{key.replace('_', ' ')}**: {value}"
        for key, value in variant.card.items()
        if not isinstance(value, dict) and key != "samples"
    ]
    elsewhere = [
        [part, f"{file.file} in {file.repo}", file.size or "", file.revision or "the newest"]
        for part, file in variant.files.items()
        if file.repo is not None
    ]
    parts = [[row[0], f"`{row[1]}`", row[2], f"`{row[3][:16]}...`"] for row in rows[1:]] + elsewhere
    sizes = variant.model_dump(mode="json", include={"tokenizer", "transformer", "sampling"})
    return model_card(
        data,
        "published_model.md",
        repo=repo,
        title=variant.name,
        short=repo.rpartition("/")[2],
        summary=f"A {variant.image_size} px image auto-regressive model of the family {variant.family}.",
        own_code=Path(split_reference(variant.code)[0]).name if is_file_reference(variant.code) else "",
        files=markdown_table(["part", "file", "MB", "SHA-256"], parts, 2),
        facts="\n".join(facts),
        description=yaml.safe_dump(sizes, sort_keys=False, default_flow_style=None, width=100).rstrip(),
        licence=variant.licence,
        image_licence=variant.image_licence or "nobody has said under which licence",
        citation=variant.citation,
        notes=notes.strip(),
    )
