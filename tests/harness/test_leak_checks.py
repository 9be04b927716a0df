from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from toys import Toys

from iarbench.harness.codec_control import NAMES, control_line
from iarbench.harness.leak_checks import check_leaks, warnings_of
from iarbench.harness.plan import Settings
from iarbench.harness.planning import make_plan
from iarbench.images.decode import encode
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.task import Task


def noisy(seed: int, container: str = "png") -> bytes:
    rng = np.random.default_rng(seed)
    return encode(Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)), container)  # type: ignore[arg-type]


def record(data: bytes, number: int, source: str, split: str) -> ImageRecord:
    return ImageRecord.make(data, image_id=f"{source}/{split}/{number}", source=source, split=split)


def image_set(container_of_noise: str, count: int = 20) -> Iterator[ImageRecord]:
    containers = {"toy-a": "png", "toy-b": "png", "noise": container_of_noise}
    for place, (source, container) in enumerate(containers.items()):
        for number in range(count):
            for far, split in enumerate(("test", "calibration")):
                yield record(noisy(1000 * place + 2 * number + far, container), number, source, split)


def lines(toys: Toys, folder: Path, container_of_noise: str, count: int = 20) -> list[str]:
    images = ImageSet.write(image_set(container_of_noise, count), folder)
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


def test_sets_of_a_few_images_are_not_judged(toy_family: Toys, tmp_path: Path) -> None:
    assert lines(toy_family, tmp_path / "few", "webp", count=19) == []


def test_a_declared_container_makes_files_alike_and_is_part_of_every_key(toy_family: Toys, tmp_path: Path) -> None:
    images = ImageSet.write(image_set("webp"), tmp_path / "webp")
    keys = {}
    for container in ("stored", "png", "jpeg96"):
        path = tmp_path / f"{container}.yaml"
        path.write_text(toys_yaml(toy_family) + f"container: {container}\n")
        plan = make_plan(Task.load(str(path)), images, "set", Settings())
        keys[container] = {part.identity["preprocessing"] for part in plan.parts}
        found = check_leaks(plan)
        assert (found["toy-a"]["file format"]["noise"] == 0.5) == (container != "stored")
        assert found["toy-a"]["image width"]["noise"] == 0.5
    assert keys == {"stored": {"exact"}, "png": {"exact+png"}, "jpeg96": {"exact+jpeg96"}}


def toys_yaml(toys: Toys) -> str:
    return toys.task.read_text()


def test_the_same_codec_control_tells_a_codec_from_a_picture(toy_family: Toys, tmp_path: Path) -> None:
    images = ImageSet.write(image_set("webp"), tmp_path / "webp")
    areas = check_leaks(make_plan(Task.load(str(toy_family.task)), images, "set", Settings()))
    line = control_line(areas)
    assert line is not None
    # Noise against noise, in two formats: as JPEG 96 both sides are alike.
    assert line.startswith("same-codec control: with all images as JPEG 96 the most telling trivial property is ")
    assert "; as stored it is file " in line
    assert ", AUROC 1.000 (toy-" in line.partition(";")[2]
    assert all(0.2 < areas["toy-a"][name]["noise"] < 0.8 for name in NAMES)
    assert not any("as JPEG 96 alone" in one for one in warnings_of(areas))
    assert control_line({}) is None
