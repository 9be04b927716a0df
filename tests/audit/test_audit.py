"""Every kind of leak and damage is found in a set made for it, and a sound set has none."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iarbench.audit.page import page
from iarbench.audit.report import Audit, audit
from iarbench.cli import main
from iarbench.images.decode import encode
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord

CONDITIONS = ("cat", "dog")


def picture(seed: int, side: int = 32) -> Image.Image:
    """Smooth noise, every seed another picture."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


def record(image: Image.Image, name: str, source: str, split: str, **more: object) -> ImageRecord:
    data = encode(image, more.pop("container", "webp"))  # type: ignore[arg-type]
    known = {"licence": "CC0-1.0", "condition": CONDITIONS[int(name) % 2]} | more
    return ImageRecord.make(data, image_id=f"{source}/{split}/{name}", source=source, split=split, **known)


def sound(count: int = 12) -> Iterator[ImageRecord]:
    """Photographs and images of a generator, treated alike."""
    for place, source in enumerate(("photos", "made")):
        for offset, split in enumerate(("test", "calibration")):
            for number in range(count):
                seed = 1000 * place + 100 * offset + number
                more = {"seed": seed} if source == "made" else {}
                yield record(picture(seed), str(number), source, split, **more)


def of(found: Audit, level: str) -> list[str]:
    return [f"{one.check}: {one.line}" for one in found.of(level)]


def audited(records: Iterator[ImageRecord], folder: Path) -> Audit:
    ImageSet.write(records, folder)
    return audit([str(folder)], quiet=True)


def test_a_sound_set_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ImageSet.write(sound(), tmp_path / "set")
    assert main(["audit", str(tmp_path / "set")]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("48 images: no damage and no leak found")


def test_copies_and_groups_across_splits_are_leaks(tmp_path: Path) -> None:
    def leaky() -> Iterator[ImageRecord]:
        records = list(sound())
        yield from records
        copied, again = records[0], picture(3)  # photos/test/0 and /3
        yield dataclasses.replace(copied, image_id="copy", group="copy", split="calibration")
        buffer = io.BytesIO()
        again.save(buffer, "JPEG", quality=60)
        once_more = Image.open(buffer).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield record(once_more, "99", "photos", "calibration", group="photos/test/5")

    found = audited(leaky(), tmp_path / "set")
    assert found.verdict == "leak"
    assert of(found, "leak") == [
        "duplicates: 1 file is in photos/calibration and in photos/test, byte for byte "
        "(the first: copy and photos/test/0)",
        "near duplicates: 1 pair of pictures looks the same in photos/calibration and in photos/test "
        "(the first: photos/calibration/99 and photos/test/3)",
        "groups: 1 group of photos in calibration and in test (photos/test/5)",
    ]
    text = page(found)
    assert text.count("data:image/webp;base64,") == 20 + 2 * 3  # samples, and the pairs of three leaks
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


@pytest.mark.parametrize("container", ["png", "jpeg96"])
def test_another_codec_on_one_side_is_a_leak(tmp_path: Path, container: str) -> None:
    def mixed() -> Iterator[ImageRecord]:
        for one in sound():
            yield one if one.source == "made" else one.with_bytes(encode(one.pil(), container), f"native-{container}")  # type: ignore[arg-type]

    found = audited(mixed(), tmp_path / "set")
    lines = of(found, "leak")
    assert any(line.startswith("treatment: file format alone tells made from photos (AUROC 1.000)") for line in lines)
    assert any(line.startswith("treatment: compression alone") for line in lines)
    quality = [line for line in lines if line.startswith("treatment: JPEG quality alone")]
    assert len(quality) == (container == "jpeg96")


def test_another_size_on_one_side_is_a_leak_between_sets(tmp_path: Path) -> None:
    ImageSet.write((one for one in sound() if one.source == "made"), tmp_path / "made")
    larger = (record(picture(seed, 48), str(seed), "photos", "test") for seed in range(50, 62))
    ImageSet.write(larger, tmp_path / "photos")
    found = audit([str(tmp_path / "made"), str(tmp_path / "photos")], quiet=True)
    assert [line.split(" alone")[0] for line in of(found, "leak")] == [
        "treatment: image width", "treatment: image height"
    ]  # fmt: skip
    assert found.areas["made", "photos"]["image width"] == 0.0
    alone = audit([str(tmp_path / "photos")], quiet=True)
    assert alone.verdict == "clean"


def test_damage_is_named_and_the_rest_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ImageSet.write(sound(), tmp_path / "set")
    table = pq.read_table(tmp_path / "set" / "part-00000.parquet")
    rows = table.to_pylist()
    rows[1]["image"]["bytes"] = rows[1]["image"]["bytes"][:40]
    rows[2]["source"] = None
    rows[3]["width"] = 99
    rows[5]["image_id"] = rows[4]["image_id"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "set" / "part-00000.parquet")
    (tmp_path / "set" / "part-00001.parquet").write_bytes((tmp_path / "set" / "part-00000.parquet").read_bytes())
    assert main(["audit", str(tmp_path / "set"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "damage"
    damage = [one["line"] for one in found["findings"] if one["level"] == "damage"]
    assert any(line.startswith("2 images have no source") for line in damage)
    assert "photos/test/1: the bytes do not match their sha256" in damage
    assert any(line.startswith("photos/test/1: damaged or truncated image") for line in damage)
    assert "photos/test/3: is 32x32 WEBP, its row says 99x32 WEBP" in damage
    assert "photos/test/4: this id occurs again" in damage
    page(audit([str(tmp_path / "set")], quiet=True))


def test_a_file_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    ImageSet.write(sound(), tmp_path / "set")
    shard = tmp_path / "set" / "part-00000.parquet"
    content = shard.read_bytes()
    shard.write_bytes(b"PAR1" + bytes(400) + content[404:])
    found = audit([str(tmp_path / "set")], quiet=True)
    assert found.verdict == "damage"
    assert "cannot be read" in of(found, "damage")[0]


def test_licences_and_classes_are_notes(tmp_path: Path) -> None:
    def uneven() -> Iterator[ImageRecord]:
        for number, one in enumerate(sound()):
            condition = "dog" if number % 12 == 0 else "cat"
            licence = "CC-BY-ND-2.0" if one.source == "photos" else one.licence
            yield dataclasses.replace(one, licence=licence, condition=condition if one.source == "made" else "")
        yield record(picture(7777), "99", "made", "test", condition="dog", licence=None, seed=1)

    found = audited(uneven(), tmp_path / "set")
    assert found.verdict == "clean"
    notes = of(found, "note")
    reason = "CC-BY-ND-2.0 forbids to publish changed copies, such as resized ones"
    assert "licences: not to be published: 1 images of made (1 x states no licence)" in notes
    assert f"licences: not to be published: 24 images of photos (24 x {reason})" in notes
    assert "classes: made/calibration: 11 images of 'cat', 1 of 'dog'" in notes


def test_names_of_others_are_no_html(tmp_path: Path) -> None:
    hostile = (
        dataclasses.replace(one, condition="<script>x</script>", source=f"<b>{one.source}</b>") for one in sound(3)
    )
    text = page(audited(hostile, tmp_path / "set"))
    assert "<script>" not in text
    assert "<b>made" not in text
    assert "&lt;script&gt;x&lt;/script&gt;" in text


def test_the_command_writes_its_page_and_needs_no_torch(tmp_path: Path) -> None:
    ImageSet.write(sound(3), tmp_path / "set")
    code = "import sys; from iarbench.cli import main; status = main(); print('torch' in sys.modules); sys.exit(status)"
    command = [sys.executable, "-c", code, "audit", str(tmp_path / "set"), "--page", str(tmp_path / "a" / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    assert (tmp_path / "a" / "page.html").read_text().startswith("<!doctype html>")
