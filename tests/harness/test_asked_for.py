"""A detector that reads the condition is told what generators were asked for, by name, and nobody else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from toys import Toys, records, run

from iarbench.cli import main
from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.harness.asked import asked_for
from iarbench.harness.choose import Choice
from iarbench.harness.plan import Settings
from iarbench.harness.run import prepare
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.task import Task

TOLD = """
import torch
from iarbench.detector import Detector

class Told(Detector):
    name = "told"
    reads = frozenset({"tokenizer", "condition"})

    def fit(self, images):
        known = [condition for batch in images for condition in batch.evidence.conditions]
        return {"known": torch.tensor([float(sum(map(bool, known))), float(len(known))])}

    def score(self, evidence):
        return {"told": torch.tensor([float(one or -1) for one in evidence.conditions])}


class Untold(Detector):
    name = "untold"

    def score(self, evidence):
        return {"untold": torch.full((len(evidence.images),), float(evidence.conditions is None))}
"""


def test_numbers_become_names_and_photographs_have_none() -> None:
    images = ImageSet.open(images_path("iarbench-mini"))
    by_source = {name: images.filter(source=name, split="test") for name in ("var-mini", "infinity-mini", "flickr")}
    index = {name: some.index().iloc[0] for name, some in by_source.items()}
    ids = [index[name]["image_id"] for name in ("flickr", "infinity-mini", "var-mini", "infinity-mini")]
    prompt, number = index["infinity-mini"]["condition"], int(index["var-mini"]["condition"])
    assert index["flickr"]["condition"].isdecimal()  # of its own classes, which no generator knows
    assert asked_for(images, ids) == ("", prompt, variants.get("var-mini").classes[number], prompt)


def test_an_unknown_id_is_named() -> None:
    images = ImageSet.open(images_path("iarbench-mini"))
    with pytest.raises(UserError, match="no image 'nobody' among the"):
        images.cells(["condition"], ["nobody"])


@pytest.mark.parametrize("ours", [False, True])
def test_every_image_gets_its_own(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """Whatever batches are cut and filled up, for users' detectors and for ours; more than one batch a part."""
    file = tmp_path / "told.py"
    file.write_text(TOLD)
    some = [
        replace(
            one, condition=str(place), split="fit" if one.split == "test" and one.image_id[-2:] < "11" else one.split
        )
        for place, one in enumerate(records(40))
    ]
    ImageSet.write(some, tmp_path / "images")
    expected = {one.image_id: -1.0 if one.source == "noise" else float(one.condition) for one in some}
    if ours:
        monkeypatch.setattr(Choice, "is_ours", property(lambda self: True))
    words = ["--images", tmp_path / "images", "--attack", "none", "--encoder", "original"]
    found = run(toy_family, tmp_path / "run", *words, "--detector", f"{file}:Told,{file}:Untold")
    assert len(found) == 2 * 2 * len([one for one in some if one.split != "fit"]) - 2 * 2 * 40  # own are not calibrated
    for (detector, *_, image_id), score in found.items():
        assert score == (1.0 if detector == "untold" else expected[image_id]), (detector, image_id)
    learnt = [load_file(file)["known"].tolist() for file in (tmp_path / "run").rglob("*.safetensors")]
    assert learnt == [[22.0, 33.0]] * 2  # eleven images of each of two generators, and as many photographs


def keys(detector: str, target: str) -> list[str]:
    task = Task.load("mini").narrowed(detectors=[detector], targets=[target], encoders=["inverse"], attacks=["none"])
    return [part.key for part in prepare(task, Settings(device="cpu", limit=2)).parts]


@pytest.mark.parametrize(("detector", "changes"), [("likelihood-oracle", True), ("likelihood", False)])
def test_other_names_of_classes_are_other_scores(detector: str, changes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(detector, "var-mini")
    known = variants.get("llamagen-mini")
    other = known.model_copy(update={"classes": ("a cat", *(known.classes or ())[1:])})
    monkeypatch.setitem(variants._all().variants, "llamagen-mini", other)
    assert (keys(detector, "var-mini") != before) == changes


def test_of_a_traced_picture_nobody_knows_it(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "told.py").write_text(TOLD.replace("def fit", "def later"))
    (record,) = list(records(1))[:1]
    (tmp_path / "a.png").write_bytes(record.bytes)
    words = ["trace", str(tmp_path / "a.png"), "--task", str(toy_family.task), "--detector", f"{tmp_path}/told.py:Told"]
    assert main([*words, "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: detector 'told' is told the classes and prompts of known images")
