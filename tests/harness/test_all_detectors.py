from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from toys import Toys

from iarbench.cli import main
from iarbench.detector import Detector
from iarbench.errors import UserError
from iarbench.harness import all_detectors
from iarbench.harness.all_detectors import with_all
from iarbench.registry import DETECTORS
from iarbench.task import Task

MEASURED = Path(__file__).parents[2] / "benchmarks" / "results" / "detectors.json"


def asked(*detectors: str) -> Task:
    return Task.load("mini").narrowed(detectors=detectors)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three detectors: one cheap, one dear, one of which nobody knows; a fourth lacks its weights."""
    known = {"cheap": 0.02, "dear": 12.0, "new": None}

    def choose(name: str) -> SimpleNamespace:
        if name == "bare":
            raise UserError("detector 'bare': there is no weight file bare.safetensors")
        return SimpleNamespace(kind=type(name, (Detector,), {"seconds_per_image": known[name]}))

    monkeypatch.setattr(all_detectors, "choose", choose)
    monkeypatch.setattr(DETECTORS, "names", lambda: ["bare", *known])


@pytest.mark.usefixtures("costs")
def test_all_is_what_is_cheap_and_the_others_are_named_with_the_reason() -> None:
    task, notes = with_all(asked("all", "quantloss"), {"test"})
    assert task.spec.detectors == ("cheap", "quantloss")
    assert notes == [
        "all detectors below 1 s an image: cheap",
        "left out of all: bare: detector 'bare': there is no weight file bare.safetensors",
        "left out of all: dear: 12 s an image",
        "left out of all: new: nobody has measured what it costs (seconds_per_image)",
    ]


@pytest.mark.usefixtures("costs")
def test_one_that_is_asked_for_by_name_is_taken_whatever_it_costs() -> None:
    task, notes = with_all(asked("dear", "all"), {"test"})
    assert task.spec.detectors == ("dear", "cheap")
    assert not any("dear" in note for note in notes)


def test_what_learns_is_left_out_where_there_is_nothing_to_learn_from() -> None:
    (reason,) = (note for note in with_all(asked("all"), {"test"})[1] if "lida" in note and "left out" in note)
    assert reason.endswith("it learns from images of split 'fit', and there are none")
    task, _ = with_all(asked("all"), {"test", "fit"})
    assert "lida" in task.spec.detectors


def test_other_tasks_stay_as_they_are() -> None:
    task = asked("quantloss")
    assert with_all(task, {"test"}) == (task, [])


def test_the_list_is_shown_before_the_work(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--task", str(toy_family.task), "--detector", "all", "--out", str(tmp_path / "all"), "--dry-run"]
    assert main(words) == 0
    shown = capsys.readouterr()
    note = next(line for line in shown.err.splitlines() if line.startswith("note: all detectors below 1 s an image: "))
    assert {"combined", "encloss", "quantloss"} <= set(note.replace(",", "").split())
    assert "note: left out of all: quantloss-reference" in shown.err
    listed = next(line for line in shown.out.splitlines() if line.startswith("detectors"))
    assert {"combined", "encloss", "trivial"} <= set(listed.replace(",", "").split())


@pytest.mark.parametrize("name", DETECTORS.builtin())
def test_what_a_detector_says_it_costs_was_measured(name: str) -> None:
    kind = DETECTORS.get(name)
    if kind.seconds_per_image is None:
        pytest.skip(f"{name} declares no cost")
    measured = json.loads(MEASURED.read_text())["detectors"][name]
    for declared in ("seconds_per_image", "mib_per_image"):
        assert getattr(kind, declared) == pytest.approx(measured[declared], rel=0.1)
