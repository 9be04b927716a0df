"""MS-COCO 2014 and 2017: the official folders with their annotations, each image with one caption and its licence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from iarbench.errors import UserError
from iarbench.images.hub_sources import import_hub, is_local
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.places import Places

HUB = "sayakpaul/coco-30-val-2014"
FOLDERS = ("val2017", "train2017", "val2014", "train2014")
DOWNLOADS = "https://cocodataset.org/#download"
_CC = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")


def import_coco(
    path: str | None,
    report: ImportReport,
    *,
    caption_seed: int | None = None,
    hub_split: str | None = None,
    revision: str | None = None,
) -> Iterable[FoundImage]:
    """MS-COCO with captions and licences: coco:val2017 beside its annotations/, or 30,000 images of 2014 from the Hub.

    A folder: the images of one split (val2017, train2017, val2014, train2014) or the folder that holds just one of
    them; annotations/captions_<split>.json beside it. The id is the number of the image, twelve digits, so that it is
    the same in 2014 and 2017. The condition is one of its captions, by `choose_caption`. Licences are Creative Commons
    ones by their short names ("CC-BY-NC-SA-2.0"), pages the addresses on Flickr.

    Args:
        path: the folder, or a repository of the Hub that has columns image and caption.
        report: is filled while the images are consumed.
        caption_seed: another one chooses other captions; 0 if not given.
        hub_split, revision: of the repository.

    Raises:
        UserError: no folder of images, several, no annotations, or the Hub refuses.
    """
    if path is None or not is_local(path):
        if caption_seed is not None:
            raise UserError("--caption-seed is for COCO's own folders; the Hub's set has one caption an image")
        return import_hub(
            path or HUB, report, hub_split=hub_split or "train", revision=revision, label_column="caption"
        )
    folder = _images_folder(Path(path))
    return _Folder(folder, _captions_file(folder), caption_seed or 0, report)


def choose_caption(captions: dict[int, str], coco_id: int, seed: int) -> str:
    """One of an image's captions, by annotation id: that at place sha256("<seed>:<coco_id>") mod their number.

    In ascending order of their annotation ids; "" if there is none.
    """
    if not captions:
        return ""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}:{coco_id}".encode()).digest()[:8], "big")
    return captions[sorted(captions)[drawn % len(captions)]].strip()


def short_licence(name: str | None, url: str | None) -> str | None:
    """A licence of COCO's list by its usual short name: "CC-BY-NC-2.0"; others keep the name they have there."""
    match = _CC.search(url or "")
    return f"CC-{match[1].upper()}-{match[2]}" if match else name


def _images_folder(root: Path) -> Path:
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    if root.name in FOLDERS:
        return root
    found = [root / name for name in FOLDERS if (root / name).is_dir()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{root}: holds several splits; choose one: {', '.join(f'coco:{one}' for one in found)}")
    raise UserError(f"{root}: holds none of {', '.join(FOLDERS)}; give the folder with COCO's images ({DOWNLOADS})")


def _captions_file(folder: Path) -> Path:
    name = f"annotations/captions_{folder.name}.json"
    for place in (folder.resolve().parent, folder):
        if (place / name).is_file():
            return place / name
    year = folder.name[-4:]
    raise UserError(
        f"{folder}: {name} is not beside it, which has captions and licences; unpack annotations_trainval{year}.zip of "
        f"{DOWNLOADS} there, or write folder:{folder} to do without"
    )


class _Folder(Places):
    """A place is an image that the annotations list and the folder holds, in the order of their numbers.

    Annotations and folder are read when the first of them is asked for; UserError where they cannot be.
    """

    def __init__(self, folder: Path, annotations: Path, seed: int, report: ImportReport) -> None:
        self._folder, self._annotations, self._seed, self._report = folder, annotations, seed, report

    @cached_property
    def _annotated(self) -> tuple[list[dict[str, Any]], dict[int, dict[int, str]], dict[Any, str | None]]:
        """As `_read`, but of the images only those that are there."""
        images, captions, licences = _read(self._annotations)
        there = {file.name: file for file in self._folder.iterdir()}
        listed = {image["file_name"] for image in images}
        for name in sorted(set(there) - listed):
            self._report.skip(str(there[name]), f"not in {self._annotations.name}")
        if absent := sum(name not in there for name in listed):
            whole = f"the {len(listed)} images of {self._annotations.name}"
            self._report.note(f"{self._folder}: {absent} of {whole} are not there")
        present = [image for image in images if image["file_name"] in there]
        return sorted(present, key=lambda image: image["id"]), captions, licences

    def __len__(self) -> int:
        return len(self._annotated[0])

    def names(self) -> Iterator[str]:
        return (image["file_name"] for image in self._annotated[0])

    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        images, captions, licences = self._annotated
        for image in images[start:stop]:
            file, number = self._folder / image["file_name"], image["id"]
            if (data := self._report.read(file)) is None:
                continue
            yield FoundImage(
                str(file),
                data,
                f"{number:012}",
                condition=choose_caption(captions.get(number, {}), number, self._seed),
                path=file.name,
                licence=licences.get(image.get("license")),
                page=image.get("flickr_url") or image.get("coco_url"),
            )


def _read(file: Path) -> tuple[list[dict[str, Any]], dict[int, dict[int, str]], dict[Any, str | None]]:
    """Images, image id -> annotation id -> caption, licence number -> its name."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        captions: dict[int, dict[int, str]] = {}
        for one in found["annotations"]:
            captions.setdefault(int(one["image_id"]), {})[int(one["id"])] = str(one["caption"])
        licences = {one["id"]: short_licence(one.get("name"), one.get("url")) for one in found.get("licenses", ())}
        images: list[dict[str, Any]] = [
            {**one, "id": int(one["id"]), "file_name": str(one["file_name"])} for one in found["images"]
        ]
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not COCO's captions ({type(error).__name__}: {error})") from None
    return images, captions, licences
