"""Data sets streamed from the Hugging Face Hub, and LAION as downloaded by img2dataset."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from iarbench.errors import UserError
from iarbench.hub import read_rows
from iarbench.images.columns import Wanted, choose, read_row
from iarbench.images.folder_source import import_folder
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.parquet_source import import_parquet
from iarbench.images.places import Places
from iarbench.images.reading import parquet_files
from iarbench.images.sidecars import is_img2dataset


def import_hub(
    path: str | None,
    report: ImportReport,
    *,
    config: str | None = None,
    hub_split: str = "train",
    revision: str | None = None,
    image_column: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
) -> Iterator[FoundImage]:
    """The images of a data set on the Hub, streamed in its order, as their original bytes; hub:owner/name.

    Ids are "<split>/<row, eight digits>"; an image set of iarbench keeps all its columns.

    Args:
        path: the repository, "owner/name".
        report: is filled while the images are consumed.
        config: the configuration of the repository, where it has several.
        hub_split: the split of the repository.
        revision: branch, tag or commit; None is the newest.
        image_column, id_column, label_column, group_column: as for `import_parquet`.

    Raises:
        UserError: no path, no network, no such repository, no access to it, or no image column.
    """
    if not path:
        raise UserError("hub: which repository? Write hub:owner/name")
    data = read_rows(path, config, hub_split, revision)
    columns = choose(path, data.features, Wanted(image_column, id_column, label_column, group_column))
    for row, values in enumerate(data.rows):
        found = read_row(f"{path} {hub_split} row {row}", values, columns, f"{hub_split}/{row:08}", report)
        if found is not None:
            yield found


def is_local(where: str) -> bool:
    """Whether it is a file or folder, or can only be meant as one, and not the name of a repository."""
    return Path(where).exists() or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", where) is None


def import_laion(path: Path | str | None, report: ImportReport) -> Places:
    """LAION images that img2dataset saved as files or as Parquet; laion:FOLDER.

    Raises:
        UserError: no path, for LAION publishes addresses and not images.
    """
    if path is None:
        raise UserError(
            "laion: LAION publishes addresses, not images; download some with `img2dataset` and write laion:FOLDER"
        )
    if any(is_img2dataset(file) for file in parquet_files(Path(path))):
        return import_folder(path, report)
    return import_parquet(path, report, image_column="jpg", id_column="key", label_column="caption")
