"""Which columns of a table hold the image, its id, label and group: as asked for, or as the table itself tells."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from iarbench.errors import UserError
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.shards import MADE, REQUIRED

LABELS = ("condition", "label", "labels", "class", "caption", "prompt", "text")
"""Columns that become the condition where nothing else tells, the first of them that is there."""
_PLAIN = ("string", "large_string", "dictionary", "int", "uint", "bool", "float", "double", "ClassLabel")
ORIGIN = {"licence": ("licence", "license"), "author": ("author",), "page": ("page", "url")}
"""What an image comes with -> the columns that may hold it."""


@dataclass(frozen=True)
class Wanted:
    """Columns by name; None leaves the choice to `choose`."""

    image: str | None = None
    id: str | None = None
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of one table by what they are for; see `choose`."""

    image: str
    id: str | None
    label: str | None
    group: str | None
    class_names: tuple[str, ...] | None
    """Names of the label's numbers."""
    origin: dict[str, str]
    """licence, author and page -> column."""
    is_set: bool
    """Whether this is an iarbench image set, whose other columns are known."""
    made: tuple[str, ...] = ()
    """Those columns of an image set that say how its files were made, as far as it has them."""

    def names(self) -> list[str]:
        """Every column that is read, once."""
        some = [self.image, self.id, self.label, self.group, *self.origin.values()]
        whole = [name for name in REQUIRED if name not in ("image", "width", "height", "format")] if self.is_set else []
        return list(dict.fromkeys(name for name in (*some, *whole, *self.made) if name is not None))


def features_of(schema: pa.Schema) -> dict[str, Any]:
    """Column name -> what it holds, from the metadata of Hugging Face `datasets` or else from the type."""
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        told = {}
    return {field.name: told.get(field.name) or _feature(field.type) for field in schema}


def choose(where: str, features: dict[str, Any], wanted: Wanted) -> Columns:
    """The columns of the table `where` with these features.

    The image: the one column of images, or of plain bytes. The label: the one column of class numbers with names, or
    the first of `LABELS`. Id, group and origin are those of an image set; elsewhere a group is never guessed.

    Raises:
        UserError: a wanted column is not there, or there is no one column of images.
    """
    known = ", ".join(features)
    for column in (wanted.image, wanted.id, wanted.label, wanted.group):
        if column is not None and column not in features:
            raise UserError(f"{where}: there is no column {column!r}; columns: {known}")
    is_set = all(name in features for name in REQUIRED)
    label = wanted.label or _label(features)
    names = features[label].get("names") if label and isinstance(features[label], dict) else None
    return Columns(
        image=wanted.image or _image(where, features),
        id=wanted.id or ("image_id" if is_set else None),
        label=label,
        group=wanted.group or ("group" if is_set else None),
        class_names=tuple(names) if names else None,
        origin={
            role: next(name for name in names if name in features)
            for role, names in ORIGIN.items()
            if any(name in features for name in names)
        },
        is_set=is_set,
        made=tuple(name for name in MADE if is_set and name in features),
    )


def read_row(
    name: str, values: dict[str, Any], columns: Columns, default_id: str, report: ImportReport
) -> FoundImage | None:
    """The image of one row, called `name` in messages; None when it holds none, which goes to the report."""
    image = values[columns.image]
    if isinstance(image, list):
        report.skip(name, f"holds a list of images, not one (column {columns.image!r})")
        return None
    data, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    if not isinstance(data, bytes):
        report.skip(name, f"holds no image bytes, only a path ({path})" if path else "holds no image bytes")
        return None
    image_id = default_id if columns.id is None else _text(values[columns.id])
    group = None if columns.group is None else _text(values[columns.group])
    for what, column, value in (("id", columns.id, image_id), ("group", columns.group, group)):
        if column is not None and not value:
            report.skip(name, f"has no {what} (column {column!r} is empty)")
            return None
    origin = {role: _text(values[column]) for role, column in columns.origin.items()}
    found = FoundImage(
        name,
        data,
        str(image_id),
        group=group,
        condition=_condition(values, columns),
        path=path or None,
        licence=origin.get("licence"),
        author=origin.get("author"),
        page=origin.get("page"),
    )
    if not columns.is_set:
        return found
    try:
        seed = _whole(values["seed"])
        tokens = None if values["tokens"] is None else tuple(map(_whole, values["tokens"]))
    except (TypeError, ValueError):
        report.skip(name, "its seed or its tokens are not whole numbers")
        return None
    if values["sha256"] and values["sha256"] != hashlib.sha256(data).hexdigest():
        report.note(f"{name}: its bytes do not match their sha256; they are taken as they are")
    return found._replace(
        source=_text(values["source"]) or "",
        split=_text(values["split"]) or "",
        seed=seed,
        tokens=tokens,
        source_sha256=_text(values.get("source_sha256")),
        treatment=_text(values.get("treatment")),
    )


def _image(where: str, features: dict[str, Any]) -> str:
    images = [name for name, feature in features.items() if _kind(feature) == "Image"]
    found = images or [name for name, feature in features.items() if _kind(feature) in ("binary", "large_binary")]
    if "image" in found:
        return "image"
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{where}: which column holds the images? Choose one with --image-column: {', '.join(found)}")
    described = ", ".join(f"{name} ({_kind(feature)})" for name, feature in features.items())
    raise UserError(f"{where}: no column holds an image per row; columns: {described or 'none'}")


def _label(features: dict[str, Any]) -> str | None:
    classes = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    if len(classes) == 1 and "condition" not in features:
        return classes[0]
    return next((name for name in LABELS if name in features and _kind(features[name]).startswith(_PLAIN)), None)


def _condition(values: dict[str, Any], columns: Columns) -> str:
    value = values[columns.label] if columns.label else None
    names = columns.class_names
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""  # -1 is how `datasets` says that nobody knows
    return "" if value is None else str(value)


def _whole(value: Any) -> Any:
    """A whole number or None, also where one null among them has turned all into floats, with NaN for the null."""
    if value is None or value != value:
        return None
    if value != int(value):
        raise ValueError(value)
    return int(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _kind(feature: Any) -> str:
    if not isinstance(feature, dict):
        return "List" if isinstance(feature, list) else "Struct"
    kind = feature.get("_type", "Struct")
    return str(feature.get("dtype")) if kind == "Value" else str(kind)


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        names = {kind.field(place).name for place in range(kind.num_fields)}
        return {"_type": "Image" if "bytes" in names else "Struct"}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return {"_type": "List"}
    return {"_type": "Value", "dtype": str(kind)}
