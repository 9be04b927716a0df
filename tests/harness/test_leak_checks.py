from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from toys import Toys

from iarbench.harness.leak_checks import check_leaks, warnings_of
from iarbench.harness.plan import Settings, make_plan
from iarbench.images.decode import encode
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.task import Task


def noisy(seed: int, container: str = "png") -> bytes:
    rng = np.random.default_rng(seed)
    return encode(Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)), container)  # type: ignore[arg-type]


def record(data: bytes, number: int, source: str, split: str) -> ImageRecord:
    return ImageRecord.make(data, image_id=f"{source}/{split}/{number}", source=source, split=split)


def image_set(container_of_noise: str) -> Iterator[ImageRecord]:
    containers = {"toy-a": "png", "toy-b": "png", "noise": container_of_noise}
    for place, (source, container) in enumerate(containers.items()):
        for number in range(20):
            for far, split in enumerate(("test", "calibration")):
                yield record(noisy(1000 * place + 2 * number + far, container), number, source, split)


def lines(toys: Toys, folder: Path, container_of_noise: str) -> list[str]:
    images = ImageSet.write(image_set(container_of_noise), folder)
    task = Task.load(str(toys.task))
    return warnings_of(check_leaks(make_plan(task, images, "set", Settings())))


def test_sets_that_were_treated_alike_ring_no_alarm(toy_family: Toys, tmp_path: Path) -> None:
    assert lines(toy_family, tmp_path / "same", "png") == []


def test_another_container_rings_for_format_and_size(toy_family: Toys, tmp_path: Path) -> None:
    found = lines(toy_family, tmp_path / "webp", "webp")
    assert [line.split(" separates ")[0] for line in found] == [
        "warning: file size alone", "warning: file format alone",
    ]  # fmt: skip
    assert "toy-a from noise (AUROC 1.000); toy-b from noise (AUROC 1.000): the sets" in found[1]
    assert "toy-b (AUROC" not in "".join(found)
