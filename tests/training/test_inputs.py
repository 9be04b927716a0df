"""What `train` takes as images and classes, and that nothing continues on others than it began with."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.models import variants
from iarbench.models.variants import read_family
from iarbench.training.checkpoint import fingerprint, resume, save_atomically, snapshot
from iarbench.training.data import load_images

BUGS = Path(__file__).parents[1] / "bugs"
LABELS = BUGS / "training_labels"


@pytest.mark.parametrize(
    ("name", "labels", "classes", "skipped"),
    [
        ("labels.parquet", [0, 1, 0, 1, 0, 1, 0, 1], ("0", "1"), ""),
        ("minus1.parquet", [-1, 0, -1, 0, -1, 0, -1, 0], ("1",), ""),
        ("null.parquet", [0, 1, -1, 1, 0, 1, -1, 1], ("0", "1"), ""),
        ("text.parquet", [0, 1, 0, 1, 0, 1, 0, 1], ("cat", "dog"), ""),
        ("raw.parquet", [0, 1, 0, 1, 0, 1, 0, 1], ("0", "1"), ""),
        ("folder", [-1, -1, -1], (), ""),
    ],
)
def test_images_and_classes(name: str, labels: list[int], classes: tuple[str, ...], skipped: str) -> None:
    found = load_images(str(LABELS / name), 16)
    assert found.pixels.dtype == torch.uint8
    assert found.pixels.shape == (len(labels), 3, 16, 16)
    assert (found.labels.tolist(), found.classes, found.skipped) == (labels, classes, skipped)


def test_an_image_that_is_not_there_is_counted() -> None:
    found = load_images(str(LABELS / "nullimage.parquet"), 16)
    assert len(found.pixels) == len(found.labels) == 7
    assert found.skipped == "1 images left out: 1 x holds no image bytes"


def test_no_image_is_one_line() -> None:
    with pytest.raises(UserError, match=r"empty\.parquet: no image to train on \(1 x holds no rows\)"):
        load_images(str(LABELS / "empty.parquet"), 16)


def test_folders_are_classes_and_numbers_are_in_order(tmp_path: Path) -> None:
    for name in ("10", "9"):
        (tmp_path / name).mkdir()
        shutil.copy(LABELS / "folder" / "0.jpg", tmp_path / name / "a.jpg")
    found = load_images(str(tmp_path), 16)
    assert found.classes == ("9", "10")
    assert sorted(found.labels.tolist()) == [0, 1]


def test_named_classes_and_columns_are_used(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG")
    table = pa.table({"image": [buffer.getvalue()] * 3, "label": [0, 0, 0], "kind": ["b", "a", "b"]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert load_images(str(tmp_path / "x.parquet"), 16, "kind").labels.tolist() == [1, 0, 1]
    with pytest.raises(UserError, match=r"there is no column 'sort'; columns: image, label, kind"):
        load_images(str(tmp_path / "x.parquet"), 16, "sort")


def test_classes_are_chosen_by_name_in_the_order_asked_for() -> None:
    found = load_images(str(LABELS / "text.parquet"), 16)
    chosen = found.of_classes(["dog", "cat"])
    assert (chosen.labels.tolist(), chosen.classes) == ([1, 0, 1, 0, 1, 0, 1, 0], ("dog", "cat"))
    assert found.of_classes(["dog"]).labels.tolist() == [0, 0, 0, 0]
    with pytest.raises(UserError, match="no image is of class 'cow'; there are: cat, dog"):
        found.of_classes(["cow"])
    with pytest.raises(UserError, match="class 'cat' is asked for twice"):
        found.of_classes(["cat", "cat"])


def train(what: str, images: Path, out: Path, *more: str) -> int:
    words = ["train", what, "--name", "m", "--images", str(images), "--out", str(out), "--steps", "1", "--threads", "1"]
    words += ["--batch-size", "4"]
    own = ["--like", "var-mini", "--adversarial-steps", "0"] if what == "tokenizer" else []
    return main([*words, *own, *more])


def test_other_images_never_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (BUGS / "resume_on_other_images" / f"{name}.parquet" for name in "ab")
    assert train("tokenizer", first, tmp_path) == 0
    weights = (tmp_path / "m-tokenizer.safetensors").read_bytes()
    assert train("tokenizer", first, tmp_path) == 0
    assert (tmp_path / "m-tokenizer.safetensors").read_bytes() == weights
    before = (tmp_path / "m.yaml").read_text()
    capsys.readouterr()
    assert train("tokenizer", second, tmp_path) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {tmp_path}/checkpoints/m-reconstruction.pt is of a training that differs in images (8, now 12), "
        "pixels; repeat its command to resume, give another --out, or begin anew with --restart"
    )
    assert (tmp_path / "m.yaml").read_text() == before
    assert train("tokenizer", second, tmp_path, "--restart") == 0
    assert (tmp_path / "m-tokenizer.safetensors").read_bytes() != weights
    assert read_family(tmp_path / "m.yaml")[0].card["tokenizer"]["images"] == 12


def test_other_classes_never_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("tokenizer", LABELS / "text.parquet", tmp_path) == 0
    assert train("transformer", LABELS / "text.parquet", tmp_path) == 0
    assert read_family(tmp_path / "m.yaml")[0].classes == ("cat", "dog")
    capsys.readouterr()
    assert train("transformer", LABELS / "text.parquet", tmp_path, "--labels", "dog,cat") == 2
    assert "is of a training that differs in classes;" in capsys.readouterr().err
    assert read_family(tmp_path / "m.yaml")[0].classes == ("cat", "dog")
    # Another tokenizer, and the transformer that read its tokens is of no more use.
    assert train("tokenizer", BUGS / "resume_on_other_images" / "b.parquet", tmp_path, "--restart") == 0
    assert set(read_family(tmp_path / "m.yaml")[0].files) == {"tokenizer"}


def test_finetuning_on_another_count_never_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["finetune", "--generator", "taming-mini", "--epochs", "1", "--out", str(tmp_path), "--threads", "1"]
    assert main([*words, "--count", "2"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"mean loss of an epoch [0-9.e-]+ in \d+ s$", said.strip()), said  # of one epoch, one number
    assert main([*words, "--count", "3"]) == 2
    assert "is of a training that differs in images (2, now 3), pixels;" in capsys.readouterr().err
    assert main([*words, "--count", "3", "--restart"]) == 0


@pytest.mark.parametrize("name", ["empty.parquet", "nowhere", "nowhere.parquet"])
def test_wrong_images_leave_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert train("tokenizer", LABELS / name, tmp_path / "out") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_another_architecture_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("tokenizer", LABELS / "text.parquet", tmp_path) == 0
    capsys.readouterr()
    assert train("tokenizer", LABELS / "text.parquet", tmp_path, "--like", "llamagen-mini") == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/m.yaml describes a generator of another architecture than llamagen-mini (its code "
        "differs); give another --name or --out\n"
    )


def test_one_image_is_too_few_for_a_transformer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(LABELS / "folder" / "0.jpg", tmp_path / "one")
    assert train("tokenizer", tmp_path / "one", tmp_path) == 0
    capsys.readouterr()
    assert train("transformer", tmp_path / "one", tmp_path) == 2
    assert "a transformer needs at least 2 images of known class" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pt is no checkpoint that can be read .*; begin anew with --restart"):
        resume(path, {})


def test_a_checkpoint_of_an_older_version_is_one_line(tmp_path: Path) -> None:
    save_atomically({"step": 3, "recipe": {}, "parts": [], "rng": torch.get_rng_state()}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="is no checkpoint that can be read"):
        resume(tmp_path / "x.pt", {})


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path: Path) -> None:
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    save_atomically(snapshot(7, {"betas": (0.9, 0.99)}, model), tmp_path / "x.pt")
    drawn = torch.rand(3)
    assert resume(tmp_path / "x.pt", {"betas": (0.9, 0.99)}, other) == 7
    assert torch.equal(torch.rand(3), drawn)
    assert fingerprint(model) == fingerprint(other)
    with pytest.raises(UserError, match=r"differs in betas \(\(0.9, 0.99\), now \(0.9, 0.9\)\);"):
        resume(tmp_path / "x.pt", {"betas": (0.9, 0.9)}, other)


def test_fingerprints_tell_values_shapes_and_kinds_apart() -> None:
    one = torch.arange(4)
    others = [one.view(2, 2), one.int(), one + 1, one.clone()]
    assert [fingerprint(one) == fingerprint(other) for other in others] == [False, False, False, True]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    variants._all.cache_clear()
