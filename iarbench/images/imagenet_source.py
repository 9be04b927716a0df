"""ImageNet-1k validation in each of its official forms, with the same ids in all of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from iarbench.errors import UserError
from iarbench.images.hub_sources import import_hub, is_local
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.parquet_source import import_parquet
from iarbench.images.places import Changed, Places
from iarbench.images.walk import walk

HUB = "ILSVRC/imagenet-1k"
LICENCE = "ImageNet terms of access: non-commercial research and education, no redistribution"
_FILE = re.compile(r"(ILSVRC2012_val_\d{8})(?:_(n\d{8}))?(?:\.JPEG)?$")
_WNID = re.compile(r"n\d{8}")
_TRUTH, _META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
_SOLUTION, _WORDS = "LOC_val_solution.csv", ("LOC_synset_mapping.txt", "synset_words.txt")

Known = Mapping[str, Path]
"""Name of a file that describes the images -> where it is."""


def import_imagenet(
    path: str | None, report: ImportReport, *, hub_split: str = "validation", revision: str | None = None
) -> Iterable[FoundImage]:
    """ImageNet-1k validation with class names: the official folder, Parquet files, or else from the Hub.

    A folder: ILSVRC2012_val_*.JPEG in folders of classes (n01440764/...), or all in one with the development kit
    (ILSVRC2012_validation_ground_truth.txt and meta.mat) or Kaggle's LOC_val_solution.csv in the same folder, below it
    or beside it. Parquet, and no path: as ILSVRC/imagenet-1k has it; its terms must be accepted on the Hub once. Ids
    are "ILSVRC2012_val_00000001" in every form, in ascending order in a folder, so that the first 1,000 images are of
    all classes. The condition is the class's name where one of the files tells it, else its WordNet id.

    Raises:
        UserError: nothing there, no such images, no way to know their classes, or the Hub refuses.
    """
    if path is None or not is_local(path):
        found = import_hub(path or HUB, report, hub_split=hub_split, revision=revision, label_column="label")
        return map(_official, found)
    root = Path(path)
    if root.is_file() or any(root.glob("**/*.parquet")):
        return Changed(import_parquet(root, report, label_column="label"), _official)
    return _Folder(root, report)


def _official(found: FoundImage) -> FoundImage:
    """Under its official id, which the Hub keeps in the path of the image."""
    match = _FILE.search(found.path or "")
    return found._replace(image_id=match[1] if match else found.image_id, licence=LICENCE)


class _Folder(Places):
    """A place is a file with the name of a validation image, in the order of their numbers.

    The folder is looked through when the first of them is asked for; UserError where it is none.
    """

    def __init__(self, root: Path, report: ImportReport) -> None:
        self._root, self._report = root, report

    @cached_property
    def _listed(self) -> tuple[list[tuple[str, str, Path]], dict[str, str]]:
        """Image id, WordNet id or "" and file of each; and WordNet id -> name of the class."""
        files, known = _look_through(self._root, self._report)
        truth = {} if all(wnid for wnid, _ in files.values()) else _truth(self._root, known)
        places = [(image_id, wnid or truth.get(image_id, ""), file) for image_id, (wnid, file) in sorted(files.items())]
        return places, _names(known)

    def __len__(self) -> int:
        return len(self._listed[0])

    def names(self) -> Iterator[str]:
        return (f"{image_id} {wnid} {file.name}" for image_id, wnid, file in self._listed[0])

    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        places, names = self._listed
        for image_id, wnid, file in places[start:stop]:
            if not wnid:
                self._report.skip(str(file), "nothing says of which class it is")
            elif (data := self._report.read(file)) is not None:
                condition = names.get(wnid, wnid)
                yield FoundImage(str(file), data, image_id, condition=condition, path=file.name, licence=LICENCE)


def _look_through(root: Path, report: ImportReport) -> tuple[dict[str, tuple[str, Path]], Known]:
    """Image id -> WordNet id or "" and file; and what describes them."""
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    files: dict[str, tuple[str, Path]] = {}
    known: dict[str, Path] = {}
    for _, file in [*walk(root, report), *_beside(root)]:
        match = _FILE.search(file.name)
        if match:
            wnid = match[2] or (file.parent.name if _WNID.fullmatch(file.parent.name) else "")
            if match[1] in files:
                report.skip(str(file), f"its image is there already ({files[match[1]][1]})")
            files.setdefault(match[1], (wnid, file))
        elif file.name in (_TRUTH, _META, _SOLUTION, *_WORDS):
            known.setdefault(file.name, file)
        elif file.is_relative_to(root) and not _is_of_the_kit(file):
            report.skip(str(file), "not one of ImageNet's validation images, by its name")
    if not files:
        raise UserError(f"{root}: holds no ILSVRC2012_val_*.JPEG; for other pictures write folder:{root}")
    return files, known


def _beside(root: Path) -> list[tuple[str, Path]]:
    """What describes the images, in the folder that holds `root` and in a development kit there."""
    above = root.resolve().parent
    places = (above, above / "data", *above.glob("ILSVRC2012_devkit_t12*/data"), *above.glob("ILSVRC2012_devkit_t12*"))
    names = (_TRUTH, _META, _SOLUTION, *_WORDS)
    return [(name, place / name) for place in places for name in names if (place / name).is_file()]


def _is_of_the_kit(file: Path) -> bool:
    return "devkit" in str(file.parent) or file.suffix.lower() in (".txt", ".csv", ".mat", ".xml", ".md", ".tar")


def _truth(root: Path, known: Known) -> dict[str, str]:
    """Image id -> WordNet id."""
    if _SOLUTION in known:
        with known[_SOLUTION].open(encoding="utf-8", newline="") as lines:
            return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(lines)}
    if _TRUTH in known and _META in known:
        # Numbers of the kit's own order, which is not that of sorted WordNet ids.
        wnids = {number: wnid for number, wnid, _ in _synsets(known[_META])}
        numbers = map(int, known[_TRUTH].read_text().split())
        return {f"ILSVRC2012_val_{place:08}": wnids[number] for place, number in enumerate(numbers, start=1)}
    raise UserError(
        f"{root}: nothing tells the classes: put {_TRUTH} and {_META} of the development kit (task 1 and 2, "
        "https://image-net.org/download.php) into it, or sort the images into folders of classes"
    )


def _names(known: Known) -> dict[str, str]:
    """WordNet id -> name of the class."""
    for file in _WORDS:
        if file in known:
            lines = known[file].read_text(encoding="utf-8").splitlines()
            return {wnid: name for wnid, _, name in (line.partition(" ") for line in lines)}
    return {wnid: name for _, wnid, name in _synsets(known[_META])} if _META in known else {}


def _synsets(meta: Path) -> list[tuple[int, str, str]]:
    """(number, WordNet id, name) of every synset of meta.mat."""
    from scipy.io import loadmat

    try:
        table = loadmat(meta, squeeze_me=True)["synsets"]
        return [(int(row["ILSVRC2012_ID"]), str(row["WNID"]), str(row["words"])) for row in table]
    except Exception as error:  # scipy raises nearly anything on what is no MATLAB file
        raise UserError(f"{meta}: not the meta.mat of ImageNet's development kit ({type(error).__name__})") from None
