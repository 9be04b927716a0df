"""Two folders of pictures in one command: split without overlap, scored, resumed, and what is wrong with them said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import Toys, auroc

import iarbench
from iarbench.cli import main
from iarbench.harness.own_images import own_task
from iarbench.harness.own_set import OwnImages
from iarbench.images.image_set import ImageSet
from iarbench.task import Task
from iarbench.testing import toy_images


def save(folder: Path, pixels: np.ndarray, per_folder: int = 0) -> Path:
    """The images as PNG files, `per_folder` in each folder below."""
    for number, image in enumerate(pixels):
        inside = folder / f"photo{number // per_folder}" if per_folder else folder
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inside / f"{number:03}.png")
    return folder


@pytest.fixture
def members(tmp_path: Path) -> Path:
    return save(tmp_path / "mine", toy_images(20, 1, 0))


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return save(tmp_path / "photos", toy_images(40, 2, None, image_size=24))


def made(toys: Toys, tmp_path: Path, own: OwnImages) -> tuple[Task, list[str], ImageSet]:
    base = Task.load(str(toys.task)).narrowed(targets=["toy-a"])
    task, notes = own_task(base, own, tmp_path / "cache", None)
    return task, notes, ImageSet.open(task.spec.images)


def command(toys: Toys, *words: object) -> list[str]:
    few = ["--detector", "quantloss", "--encoder", "inverse", "--attack", "none"]
    return ["run", "--task", str(toys.task), "--target", "toy-a", *few, *map(str, words)]


def test_two_folders_give_numbers_and_resume(
    toy_family: Toys, members: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    words = command(toy_family, "--members", "mine", "--real", "photos")
    assert main(words) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "runs" / "toy-a-mine-photos"
    assert auroc(folder, nonmember_set="pooled") == 1.0
    assert out.splitlines()[1].split()[:4] == ["toy-a", "quantloss", "inverse", "none"]
    assert "100.0 [" in out  # 20 calibration images allow the 5 % of the task
    assert main(words) == 0
    again, err = capsys.readouterr()
    assert again == out
    assert "scoring" not in err
    assert "importing" not in err


def test_the_halves_share_no_group_and_are_always_the_same(toy_family: Toys, members: Path, tmp_path: Path) -> None:
    grouped = save(tmp_path / "crops", toy_images(40, 3, None), per_folder=4)
    own = OwnImages(str(members), (str(grouped),), group_by="folder")
    task, notes, images = made(toy_family, tmp_path, own)
    assert notes == []
    index = images.index()
    photos = index[index["source"] == "crops"]
    assert photos["split"].value_counts().to_dict() == {"calibration": 20, "test": 20}
    groups = {split: set(rows["group"]) for split, rows in photos.groupby("split")}
    assert not groups["test"] & groups["calibration"]
    assert len(groups["test"] | groups["calibration"]) == 10
    assert set(index.loc[index["source"] == "toy-a", "split"]) == {"test"}
    assert set(zip(index["width"], index["height"], index["format"], strict=True)) == {(16, 16, "WEBP")}
    assert task.generators == ("toy-a",)
    elsewhere = own_task(Task.load(str(toy_family.task)).narrowed(targets=["toy-a"]), own, tmp_path / "other", None)[0]
    assert ImageSet.open(elsewhere.spec.images).fingerprint == images.fingerprint


def test_another_picture_makes_another_set(toy_family: Toys, members: Path, real: Path, tmp_path: Path) -> None:
    own = OwnImages(str(members), (str(real),))
    before = made(toy_family, tmp_path, own)[0]
    save(members / "more", toy_images(1, 9, 0))
    after, _, images = made(toy_family, tmp_path, own)
    assert after.spec.images != before.spec.images
    assert len(images) == 61
    assert after.spec.name == before.spec.name


def test_copies_are_left_out_and_counted(toy_family: Toys, members: Path, real: Path, tmp_path: Path) -> None:
    Image.open(members / "000.png").save(real / "one-of-mine.png")
    Image.open(members / "001.png").save(members / "copy.png")
    (real / "broken.png").write_bytes(b"not a picture")
    _, notes, images = made(toy_family, tmp_path, OwnImages(str(members), (str(real),)))
    assert notes[0].startswith(f"skipped: {real / 'broken.png'}: ")
    assert notes[1:] == [
        "pictures that are among the members and the real images: 1, left out of both",
        "pictures that are copies of another one: 1, left out",
    ]
    assert len(images) == 19 + 40


def test_other_generators_only_when_asked(toy_family: Toys, members: Path, real: Path, tmp_path: Path) -> None:
    alone, _, images = made(toy_family, tmp_path, OwnImages(str(members), (str(real),)))
    assert set(images.index()["source"]) == {"toy-a", "photos"}
    assert list(alone.result_task().nonmember_sets("toy-a")) == ["photos", "pooled"]
    both, _, images = made(toy_family, tmp_path, OwnImages(str(members), (str(real),), others=True))
    assert set(images.index()["source"]) == {"toy-a", "toy-b", "photos"}
    assert list(both.result_task().nonmember_sets("toy-a")) == ["photos", "other-generators", "pooled", "toy-b"]


def test_an_image_set_keeps_its_splits(toy_family: Toys, members: Path, tmp_path: Path) -> None:
    photos = ImageSet.open(toy_family.images).filter(source="noise")
    ImageSet.write((record for batch in photos.iterate() for record in batch), tmp_path / "noise-set")
    _, _, images = made(toy_family, tmp_path, OwnImages(str(members), (str(tmp_path / "noise-set"),)))
    index = images.index()
    kept = index[index["source"] == "noise-set"]
    for name in ("test", "calibration"):
        assert set(kept.loc[kept["split"] == name, "image_id"].str.split("/").str[2]) == {name}


def test_of_a_set_with_several_sources_only_those_that_are_meant(toy_family: Toys, real: Path, tmp_path: Path) -> None:
    both = OwnImages(str(toy_family.images), (str(toy_family.images), str(real)))
    _, notes, images = made(toy_family, tmp_path, both)
    assert notes == [
        f"{toy_family.images}: of its sources only toy-a, not noise, toy-b",
        f"{toy_family.images}: of its sources only noise, not toy-a, toy-b",
    ]
    counts = images.index().groupby(["source", "split"]).size().to_dict()
    assert counts == {
        ("toy-a", "test"): 50, ("images", "test"): 25, ("images", "calibration"): 25,
        ("photos", "test"): 20, ("photos", "calibration"): 20,
    }  # fmt: skip


def test_two_sets_of_one_name_get_that_of_the_folder_above(toy_family: Toys, members: Path, tmp_path: Path) -> None:
    sets = [str(save(tmp_path / name / "val", toy_images(6, seed, None))) for seed, name in enumerate(("a", "b"))]
    task, _, _ = made(toy_family, tmp_path, OwnImages(str(members), tuple(sets)))
    assert task.spec.real == ("a-val", "b-val")


def test_few_pictures_get_the_rate_that_they_allow(
    toy_family: Toys, members: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    few = save(tmp_path / "few", toy_images(18, 5, None))
    assert main(command(toy_family, "--members", members, "--real", few, "--out", tmp_path / "o")) == 0
    out, err = capsys.readouterr()
    assert "note: so few calibration images allow no FPR below 10 %: results are at 10 % as well" in err
    assert "TPR@10% matched" in out
    assert "100.0 [" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--members", "MINE"], "--members and --real go together; give --real: images that it did not make"),
        (["--real", "PHOTOS"], "--members and --real go together; give --members: images that the target made"),
        (["--members", "MINE", "--real", "nowhere"], "nowhere"),
        (["--members", "EMPTY", "--real", "PHOTOS"], "no image could be used"),
        (["--members", "MINE", "--real", "ONE"], "one: 1 picture cannot be split into calibration and test images"),
        (["--members", "MINE", "--real", "PHOTOS", "--images", "x"], "--images and --members are two ways"),
        (["--members", "MINE", "--real", "PHOTOS", "--target", "toy-b"], "need exactly one --target"),
        (["--with-others"], "--with-others and --as are for --members and --real"),
        (["--members", "MINE", "--real", "MINE"], "mine: none of its images is left: all of them are copies"),
        (["--members", "NOISE", "--real", "PHOTOS"], "holds no images of toy-a, but noise, toy-b"),
        (["--members", "MINE", "--real", "PHOTOS", "--group-column", "x"], "takes no --group-column"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    toy_family: Toys, members: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], words: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    one = save(tmp_path / "one", toy_images(1, 5, None))
    others = ImageSet.open(toy_family.images).filter(source=["noise", "toy-b"])
    ImageSet.write((record for batch in others.iterate() for record in batch), tmp_path / "others")
    paths = {"NOISE": tmp_path / "others", "MINE": members, "PHOTOS": real, "EMPTY": tmp_path / "empty", "ONE": one}
    assert main(command(toy_family, "--out", tmp_path / "o", "--quiet", *(paths.get(w, w) for w in words))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "o").exists()
    assert not list((tmp_path / "cache").rglob("*"))[1:]


def test_from_python(
    toy_family: Toys, members: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    results = iarbench.run(
        str(toy_family.task), target="toy-a", members=members, real=real, detector="quantloss", attack="none",
        encoder="inverse", out=tmp_path / "o", progress=False,
    )  # fmt: skip
    area = results.rows[(results.rows.metric == "auroc") & (results.rows.nonmember_set == "photos")]
    assert area.value.item() == 1.0
