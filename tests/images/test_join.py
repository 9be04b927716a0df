"""Sets made one: nothing known is lost, nothing clashes unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet
from iarbench.images.join import join
from iarbench.testing import toy_records

BUGS = Path(__file__).parent.parent / "bugs"


def test_sets_are_joined_in_order_with_all_columns(tmp_path: Path) -> None:
    packaged = ImageSet.open(Path(__file__).parents[2] / "iarbench" / "data" / "iarbench-mini")
    toys = ImageSet.write(toy_records(3, "toy", "fit", seed=0), tmp_path / "toys")
    joined = list(join([packaged, toys], ["mini", "toys"], []))
    assert joined == [record for images in (packaged, toys) for batch in images.iterate() for record in batch]


def test_two_imports_become_one_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("calibration", "test"):
        words = ["images", "import", str(BUGS / "two_imports_one_set" / split), "--source", "photos", "--split", split]
        assert main([*words, "--out", str(tmp_path / split)]) == 0
    both = [str(tmp_path / "calibration"), str(tmp_path / "test")]
    out = tmp_path / "both"
    assert main(["images", "join", *both, "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"error: image id '0.jpg' is in {both[0]} and in {both[1]}; give the ids of each set a prefix, such as "
        "--prefix a/ --prefix b/\n"
    )
    assert not out.exists()
    assert main(["images", "join", *both, "--prefix", "c/", "--prefix", "t/", "--out", str(out)]) == 0
    index = ImageSet.open(out).index()
    assert index["image_id"].tolist() == index["group"].tolist()
    assert index["image_id"].tolist() == [f"{prefix}/{number}.jpg" for prefix in "ct" for number in range(3)]
    assert index["split"].tolist() == ["calibration"] * 3 + ["test"] * 3
    assert main(["images", "verify", str(out)]) == 0


def test_prefixes_are_for_every_set_or_none(tmp_path: Path) -> None:
    toys = ImageSet.write(toy_records(3, "toy", "fit", seed=0), tmp_path / "toys")
    with pytest.raises(UserError, match="1 prefixes for 2 sets"):
        join([toys, toys], ["a", "b"], ["x/"])
    with pytest.raises(UserError, match="image id 'toy/fit/00000' is in a and in b"):
        join([toys, toys], ["a", "b"], ["", ""])
    assert len(list(join([toys, toys], ["a", "b"], ["", "again/"]))) == 6
