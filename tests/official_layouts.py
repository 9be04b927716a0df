"""Photographs laid out like the official folders of ImageNet validation and MS-COCO."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord

WNIDS = {"n01440764": "tench, Tinca tinca", "n02099601": "golden retriever"}


def packaged(each: int) -> tuple[list[bytes], list[bytes]]:
    """JPEG files of twice `each` photographs of the packaged set, larger than the generators' images."""
    records = ImageSet.open("iarbench-mini").filter(source="flickr").iterate(batch_size=each)
    first, second = ([_jpeg(record) for record in batch] for batch in islice(records, 2))
    return first, second


def write_official_layouts(root: Path, imagenet: Sequence[bytes], coco: Sequence[bytes]) -> None:
    """`root`/ILSVRC2012_img_val with its development kit, and `root`/coco, with these JPEG files."""
    _imagenet(root, imagenet)
    _coco(root / "coco", coco)


def _imagenet(root: Path, files: Sequence[bytes]) -> None:
    folder, kit = root / "ILSVRC2012_img_val", root / "ILSVRC2012_devkit_t12/data"
    folder.mkdir(parents=True)
    kit.mkdir(parents=True)
    for number, data in enumerate(files, start=1):
        (folder / f"ILSVRC2012_val_{number:08}.JPEG").write_bytes(data)
    classes = [(number, wnid, words) for number, (wnid, words) in enumerate(reversed(WNIDS.items()), start=1)]
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    savemat(kit / "meta.mat", {"synsets": np.array(classes, dtype=kinds)})
    truth = "".join(f"{1 + number % len(WNIDS)}\n" for number in range(len(files)))
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)


def _coco(root: Path, files: Sequence[bytes]) -> None:
    (root / "val2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    images, annotations = [], []
    for number, data in enumerate(files, start=1):
        name = f"{7 * number:012}.jpg"
        (root / "val2017" / name).write_bytes(data)
        images.append({"id": 7 * number, "file_name": name, "license": 4, "flickr_url": f"http://flickr/{number}"})
        for caption in range(5):
            text = f"photograph {number}, told in way {caption}"
            annotations.append({"id": 10 * number + caption, "image_id": 7 * number, "caption": text})
    by = {"id": 4, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}
    found = {"images": images, "annotations": annotations, "licenses": [by]}
    (root / "annotations/captions_val2017.json").write_text(json.dumps(found))


def _jpeg(record: ImageRecord) -> bytes:
    buffer = io.BytesIO()
    record.pil().resize((96, 80), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
