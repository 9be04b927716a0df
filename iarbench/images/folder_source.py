"""A folder of pictures; folders of classes become conditions, folders of splits become splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from iarbench.errors import UserError
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.sidecars import Sidecars
from iarbench.images.walk import walk

EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".tga", ".ico", ".qoi", ".avif", ".heic", ".heif"),
    )
)
"""Lower case; files with another extension are not opened but named, files without one are tried."""

MAX_FILE_BYTES = 512 * 2**20
SPLITS = frozenset(("test", "calibration", "train", "fit"))
"""Names of splits that tasks use: folders or shards of Hugging Face that are all called so are splits."""


def import_folder(path: Path | str | None, report: ImportReport) -> Iterator[FoundImage]:
    """All pictures in a folder and below it; folder/class/picture gives the class as condition.

    Sorted by id; the id is the path relative to the folder, with "/" and in Unicode NFC. The condition is the name
    of the folder that holds the picture, "" at the top. Folders at the top that are all called test, calibration, train
    or fit are splits. What img2dataset wrote (00000/*.jpg beside 00000.parquet), and metadata.csv, .jsonl or .parquet
    as `datasets` has them, give captions or labels as conditions, licences, authors and pages. Links to files and
    folders are followed, except to a folder that is read already. Nothing is left out without a line in `report`:
    files with other extensions, broken links, unreadable or damaged files.

    Args:
        path: the folder.
        report: is filled while the images are consumed.

    Raises:
        UserError: no path, or it is not a folder.
    """
    if path is None:
        raise UserError("folder: which one? Write folder:PATH")
    root = Path(path)
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    return _pictures(root, report)


def _pictures(root: Path, report: ImportReport) -> Iterator[FoundImage]:
    files = sorted(walk(root, report))
    sidecars = Sidecars(files, report)
    splits = _split_folders(files)
    for image_id, file in files:
        inside = image_id.split("/")[:-1]
        classes = inside[1:] if splits else inside
        about = sidecars.about(image_id)
        if about.condition is None:
            about = about._replace(condition=classes[-1] if classes else "")
        try:
            if not file.is_file():
                report.skip(str(file), "broken link" if file.is_symlink() else "not a regular file")
            elif sidecars.only_describes(image_id):
                continue
            elif file.suffix and file.suffix.lower() not in EXTENSIONS:
                report.skip(str(file), f"not an image, by its extension {file.suffix}")
            elif file.stat().st_size > MAX_FILE_BYTES:
                report.skip(str(file), f"larger than {MAX_FILE_BYTES // 2**20} MiB")
            else:
                yield FoundImage(
                    str(file),
                    file.read_bytes(),
                    image_id,
                    condition=about.condition or "",
                    path=image_id,
                    split=inside[0] if splits else None,
                    licence=about.licence,
                    author=about.author,
                    page=about.page,
                )
        except OSError as error:
            report.skip(str(file), f"cannot be read ({error.strerror or error})")


def _split_folders(files: list[tuple[str, Path]]) -> bool:
    """Whether every picture lies in a folder at the top that is called as a split."""
    pictures = [image_id for image_id, file in files if file.suffix.lower() in EXTENSIONS]
    return bool(pictures) and all("/" in image_id and image_id.split("/")[0] in SPLITS for image_id in pictures)
