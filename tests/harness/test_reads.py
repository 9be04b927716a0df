"""What a detector declares to read decides what is loaded, what is in the key, and what it is asked to tell apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import Toys, run, write_with_fit

from iarbench.cli import main
from iarbench.harness import targets
from iarbench.harness.execute import decide
from iarbench.harness.plan import Settings
from iarbench.harness.planning import make_plan
from iarbench.images.image_set import ImageSet
from iarbench.models import loading, variants
from iarbench.results.rows import read_rows
from iarbench.task import Task
from iarbench.testing import write_toy_family

PREDICT = """
import numpy as np
calls = []
def predict(image):
    '''Minus the brightness.'''
    with open({log!r}, "a") as log:
        log.write("x")
    assert image.mode == "RGB"
    return -float(np.asarray(image).mean())
"""

NAMED = """
def predict(image, target):
    return float(image.size[0] + len(target) + (target == "toy-b"))
"""

LIKELIHOOD = """
import torch
from iarbench.detector import Detector

class Likelihood(Detector):
    name = "likely"
    reads = frozenset({"transformer"})

    def score(self, evidence):
        loss = evidence.target.generator.training_loss
        rows = evidence.quantized.tokens
        return {"likely": torch.stack([-loss(row[None], torch.zeros(1).long()) for row in rows])}
"""

LEARNING = """
from pathlib import Path
import torch
from iarbench.detector import Detector

class Learning(Detector):
    name = "learning"
    siblings_alike = {alike}

    def fit(self, images):
        shown = sorted({{source for batch in images for source in batch.sources}})
        Path({log!r}).write_text(" ".join(shown))
        return {{"nothing": torch.zeros(1)}}

    def score(self, evidence):
        return {{"learning": evidence.f.flatten(1).mean(1)}}
"""


@pytest.fixture
def siblings(toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toys:
    """toy-a and toy-b have one tokenizer and say so."""
    family = write_toy_family(tmp_path / "f", {"toy-a": 0, "toy-b": 0})
    text = (family / "toy.yaml").read_text()
    for name, other in (("toy-a", "toy-b"), ("toy-b", "toy-a")):
        text = text.replace(f"  {name}:\n", f"  {name}:\n    shares_tokenizer_with: [{other}]\n")
    (family / "toy.yaml").write_text(text)
    monkeypatch.setenv("IARBENCH_GENERATORS", str(family))
    variants._all.cache_clear()
    return toy_family


def pooled(out: Path) -> dict[str, int]:
    """Detector -> how many non-members `pooled` has."""
    rows = [row for row in read_rows(out / "results.jsonl") if row.nonmember_set == "pooled" and row.target == "toy-a"]
    return {row.detector: row.n_nonmembers for row in rows}


def test_a_function_of_the_image_is_asked_once_per_image_and_loads_nothing(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    (tmp_path / "dark.py").write_text(PREDICT.format(log=str(log)))
    monkeypatch.setattr(targets, "load_target", lambda *args: pytest.fail("weights were loaded"))
    found = run(toy_family, tmp_path / "out", "--attack", "none", "--detector", tmp_path / "dark.py")
    assert set(found.index.unique("encoder")) == {"none"}
    assert len(found) == 2 * 125
    # 150 images, of which the calibration images of the two generators are needed for the other one alone; then the
    # trial of 4, and one more per part
    assert len(log.read_text()) == 150 + 2 * 4 + 2 * 5
    a, b = (found.xs(name, level="target").droplevel(["encoder"]) for name in ("toy-a", "toy-b"))
    shared = a.index.intersection(b.index)
    assert a[shared].equals(b[shared])


def test_a_function_of_image_and_target_is_told_the_target(toy_family: Toys, tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text(NAMED)
    found = run(toy_family, tmp_path / "out", "--attack", "none", "--detector", f"{tmp_path}/named.py:predict")
    assert found.groupby("target").agg(["min", "max"]).to_numpy().tolist() == [[21, 21], [22, 22]]


def test_new_weights_leave_the_key_of_an_image_detector_alone(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named.py").write_text(NAMED)

    def keys() -> set[str]:
        task = Task.load(str(toy_family.task)).narrowed(detectors=[f"{tmp_path}/named.py"])
        return {part.key for part in make_plan(task, ImageSet.open(toy_family.images), "toys", Settings()).parts}

    before = keys()
    monkeypatch.setenv("IARBENCH_GENERATORS", str(write_toy_family(tmp_path / "f", {"toy-a": 3, "toy-b": 26})))
    variants._all.cache_clear()
    assert keys() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def predict(a, b, c): return 0.0\n", r"predict\(a, b, c\) cannot be called; write predict\(image\) or"),
        ("def predict(image): return None\n", "predict returned a NoneType; write predict"),
        ("def predict(image): return 'high'\n", "predict returned a str; write predict"),
        ("def predict(image): return float('nan')\n", "score 'mine' is nan for"),
        ("x = 1\n", "it has neither a function predict nor a class derived from Detector"),
    ],
)
def test_a_function_that_is_no_detector_is_one_line(
    text: str, message: str, toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(text)
    args = ["run", "--task", str(toy_family.task), "--out", str(tmp_path / "out"), "--quiet", "--limit", "5"]
    assert main([*args, "--detector", f"{tmp_path}/mine.py"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error)


def test_pooled_holds_siblings_only_for_detectors_that_can_tell_them(siblings: Toys, tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text(NAMED)
    run(siblings, tmp_path / "out", "--attack", "none", "--detector", f"quantloss,{tmp_path}/named.py")
    assert pooled(tmp_path / "out") == {"quantloss": 25, "named": 50}
    about = json.loads(main_json(tmp_path / "out"))
    assert {row["detector"]: row["n_nonmembers"] for row in about if row["nonmember_set"] == "pooled"} == {
        "quantloss": 25,
        "named": 50,
    }
    assert {(row["detector"], tuple(row["pools"])) for row in about if row["nonmember_set"] == "pooled"} == {
        ("quantloss", ("noise",)),
        ("named", ("noise", "other-generators")),
    }


@pytest.mark.parametrize(
    ("alike", "shown", "non_members"), [(True, "noise toy-a", 14), (False, "noise toy-a toy-b", 28)]
)
def test_siblings_are_neither_shown_nor_non_members_where_a_detector_says_that_they_are_alike(
    alike: bool, shown: str, non_members: int, siblings: Toys, tmp_path: Path
) -> None:
    images, log = write_with_fit(tmp_path / "images"), tmp_path / "shown"
    (tmp_path / "mine.py").write_text(LEARNING.format(log=str(log), alike=alike))
    args = ("--images", images, "--attack", "none", "--target", "toy-a", "--detector", f"{tmp_path}/mine.py:Learning")
    run(siblings, tmp_path / "out", *args)
    assert log.read_text() == shown
    assert pooled(tmp_path / "out") == {"learning": non_members}


def main_json(out: Path) -> str:
    """The rows that `report` computes again, as JSON."""
    from iarbench.harness.run import recompute

    return json.dumps([row.model_dump() for row in recompute(out).rows if row.target == "toy-a"])


def test_a_transformer_is_loaded_for_who_reads_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(LIKELIHOOD)
    loaded = []
    build = loading.build_transformer
    monkeypatch.setattr(loading, "build_transformer", lambda variant: loaded.append(variant.name) or build(variant))
    args = ["run", "--target", "llamagen-mini", "--encoder", "original", "--attack", "none", "--limit", "2",
            "--quiet", "--device", "cpu", "--out"]  # fmt: skip
    targets.load_targets([(variants.get("llamagen-mini"), "original", False)], decide(Settings(device="cpu")))
    assert loaded == []
    assert main([*args, str(tmp_path / "b"), "--detector", f"reconstruction,{tmp_path}/mine.py"]) == 0
    assert loaded == ["llamagen-mini"]
    rows = [row for row in read_rows(tmp_path / "b" / "results.jsonl") if row.target == "llamagen-mini"]
    weights = {row.detector: row.target_weights for row in rows}
    assert weights["likely"] != weights["reconstruction"]
