"""Named real sets: ImageNet and COCO streamed from the Hugging Face Hub, LAION as downloaded by img2dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.errors import UserError
from iarbench.images.sources import ImportReport, Raw, import_parquet, make_records

if TYPE_CHECKING:
    from iarbench.images.preprocess import Preprocess
    from iarbench.images.record import ImageRecord


def import_hub(
    path: str,
    *,
    source: str,
    report: ImportReport,
    split: str = "test",
    preprocess: Preprocess | None = None,
    hub_split: str = "train",
    revision: str | None = None,
    condition_column: str | None = None,
    limit: int | None = None,
) -> Iterator[ImageRecord]:
    """The images of a data set on the Hub, streamed in its order, as their original bytes; ids are "<split>/<row>".

    Args:
        path: the repository, "owner/name".
        source: the name of the set, for the `source` column.
        report: is filled while the records are consumed.
        split: for the `split` column.
        preprocess: treatment of every image; None keeps the original bytes.
        hub_split: the split of the repository.
        revision: branch, tag or commit; None is the newest.
        condition_column: class or prompt.
        limit: number of rows to look at; None is all.

    Raises:
        UserError: no network, no such repository, no access to it, or no image column.
    """
    raw = itertools.islice(_hub_images(path, hub_split, revision, condition_column), limit)
    return make_records(raw, source, report, split, preprocess)


def import_imagenet(
    path: str = "ILSVRC/imagenet-1k", *, report: ImportReport, source: str = "imagenet", **options: Any
) -> Iterator[ImageRecord]:
    """ImageNet-1k validation; its terms must be accepted on the Hub once. Options as for `import_hub`."""
    options = {"hub_split": "validation", "condition_column": "label", **options}
    return import_hub(path, source=source, report=report, **options)


def import_coco(
    path: str = "sayakpaul/coco-30-val-2014", *, report: ImportReport, source: str = "coco", **options: Any
) -> Iterator[ImageRecord]:
    """30,000 images of COCO 2014 val, each with a caption as its condition. Options as for `import_hub`."""
    options = {"hub_split": "train", "condition_column": "caption", **options}
    return import_hub(path, source=source, report=report, **options)


def import_laion(
    path: Path | str | None = None, *, report: ImportReport, source: str = "laion", **options: Any
) -> Iterator[ImageRecord]:
    """LAION images that img2dataset saved with `--output_format parquet`. Options as for `import_parquet`.

    Raises:
        UserError: no path, for LAION publishes addresses and not images.
    """
    if path is None:
        raise UserError(
            "laion: LAION publishes addresses, not images; download some with `img2dataset --output_format parquet` "
            "and give the folder"
        )
    options = {"image_column": "jpg", "id_column": "key", "condition_column": "caption", **options}
    return import_parquet(path, source=source, report=report, **options)


def _hub_images(repo: str, split: str, revision: str | None, condition: str | None) -> Iterator[Raw]:
    import datasets

    try:
        stream = datasets.load_dataset(repo, split=split, revision=revision, streaming=True)
        features = stream.features or {}
        column = next((name for name, feature in features.items() if isinstance(feature, datasets.Image)), None)
        if column is None or (condition and condition not in features):
            missing = "image column" if column is None else f"column {condition!r}"
            raise UserError(f"{repo}: has no {missing}; columns: {', '.join(features)}")
        # Decoded images would come without their original bytes.
        for row, values in enumerate(stream.cast_column(column, datasets.Image(decode=False))):
            image, text = values[column] or {}, values[condition] if condition else None
            yield Raw(
                f"{repo} {split} row {row}",
                image.get("bytes") or b"",
                f"{split}/{row:08}",
                condition="" if text is None else str(text),
                path=image.get("path"),
            )
    except UserError:
        raise
    except Exception as error:  # the network, the Hub and the format of the repository may each fail in many ways
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UserError(
            f"{repo} (split {split}): cannot be read from the Hugging Face Hub ({type(error).__name__}: {reason}); "
            "check the network, the name and, if it is gated, your login"
        ) from error
