"""A folder of pictures; folders of classes become conditions, folders of splits become splits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from iarbench.errors import UserError
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.places import Places
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


def import_folder(path: Path | str | None, report: ImportReport) -> Places:
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
    return _Pictures(root, report)


class _Pictures(Places):
    """A place is a picture by its name, and the files before it that are none; the last place has those after it too.

    The folder is looked through when the first of them is asked for.
    """

    def __init__(self, root: Path, report: ImportReport) -> None:
        self._root, self._report = root, report

    @cached_property
    def _files(self) -> list[tuple[str, Path]]:
        return sorted(walk(self._root, self._report))

    @cached_property
    def _sidecars(self) -> Sidecars:
        return Sidecars(self._files, self._report)

    @cached_property
    def _ends(self) -> list[int]:
        """Of each place, the number of the first file that is not its own."""
        is_last = [self._may_be_picture(image_id, file) for image_id, file in self._files]
        ends = [number for number, last in enumerate(is_last, start=1) if last]
        return [*ends[:-1], len(is_last)] if is_last else []

    @cached_property
    def _split_folders(self) -> bool:
        """Whether every picture lies in a folder at the top that is called as a split."""
        pictures = [image_id for image_id, file in self._files if file.suffix.lower() in EXTENSIONS]
        return bool(pictures) and all("/" in image_id and image_id.split("/")[0] in SPLITS for image_id in pictures)

    def __len__(self) -> int:
        return len(self._ends)

    def names(self) -> Iterator[str]:
        return (image_id for image_id, _ in self._files)

    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        begin, end = (self._ends[place - 1] if place else 0 for place in (start, stop))
        for image_id, file in self._files[begin:end]:
            if (found := self._read(image_id, file)) is not None:
                yield found

    def _may_be_picture(self, image_id: str, file: Path) -> bool:
        return not self._sidecars.only_describes(image_id) and (not file.suffix or file.suffix.lower() in EXTENSIONS)

    def _read(self, image_id: str, file: Path) -> FoundImage | None:
        skip = self._report.skip
        try:
            if not file.is_file():
                skip(str(file), "broken link" if file.is_symlink() else "not a regular file")
            elif self._sidecars.only_describes(image_id):
                pass
            elif not self._may_be_picture(image_id, file):
                skip(str(file), f"not an image, by its extension {file.suffix}")
            elif file.stat().st_size > MAX_FILE_BYTES:
                skip(str(file), f"larger than {MAX_FILE_BYTES // 2**20} MiB")
            else:
                return self._found(image_id, file)
        except OSError as error:
            skip(str(file), f"cannot be read ({error.strerror or error})")
        return None

    def _found(self, image_id: str, file: Path) -> FoundImage:
        inside = image_id.split("/")[:-1]
        classes = inside[1:] if self._split_folders else inside
        about = self._sidecars.about(image_id)
        condition = about.condition if about.condition is not None else classes[-1] if classes else ""
        return FoundImage(
            str(file),
            file.read_bytes(),
            image_id,
            condition=condition,
            path=image_id,
            split=inside[0] if self._split_folders else None,
            licence=about.licence,
            author=about.author,
            page=about.page,
        )
