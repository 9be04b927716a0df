"""iarbench check detector says beforehand what run would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.cli import main

BUGS = Path(__file__).parents[1] / "bugs"


def check(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    status = main(["check", "detector", *map(str, args)])
    return status, capsys.readouterr().out


def test_a_sound_detector_passes_on_a_toy_and_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = check(capsys, "encloss")
    assert status == 0
    assert "encloss on toy-a: 7 properties, 0 fail" in out
    assert "encloss on llamagen-mini: 7 properties, 0 fail" in out
    for name in ("input untouched", "weights untouched", "determinism", "batch invariance", "orientation", "cost"):
        assert out.count(f"  ok    {name} ") == 2 or out.count(f"  ok    {name}\n") == 2


@pytest.mark.parametrize(
    ("detector", "line"),
    [
        ("plugin_contract/mine.py:Raises", "FAIL  sound scores      KeyError: 'x' (mine.py, line 20)"),
        ("plugin_contract/mine.py:Keys", "FAIL  determinism       its scores are called a"),
        (
            "detector_changes_images_in_place/inplace.py:Inplace",
            "FAIL  input untouched   it changes evidence.images in place",
        ),
    ],
)
def test_what_fails_is_said_with_status_1(detector: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = check(capsys, BUGS / detector, "--quiet")
    assert status == 1
    assert line in out


def test_the_wrong_way_round_is_seen_for_functions_of_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "def predict(image, target):\n    return SIGN * float(image.convert('L').resize((1, 1)).getpixel((0, 0)))\n"
    seen = {}
    for sign in ("1", "-1"):
        (tmp_path / "mine.py").write_text(text.replace("SIGN", sign))
        seen[sign] = check(capsys, tmp_path / "mine.py", "--target", "var-mini")
    assert sorted(status for status, _ in seen.values()) == [0, 1]
    assert any("FAIL  orientation       mine: AUROC" in out for _, out in seen.values())


def test_learning_is_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from iarbench.detector import Detector\n"
        "class Mine(Detector):\n"
        "    name = 'mine'\n"
        "    reads = frozenset({'image'})\n"
        "    def fit(self, images):\n"
        "        both = [(e.images.mean((2, 3))[m].mean(0), e.images.mean((2, 3))[~m].mean(0)) for e, m in images]\n"
        "        return {'w': sum(a - b for a, b in both)}\n"
        "    def score(self, e):\n"
        "        return {'mine': e.images.mean((2, 3)) @ e.learnt['w']}\n"
    )
    _, out = check(capsys, f"{tmp_path}/mine.py:Mine")
    assert out.count("  ok    sound scores") == 2
    assert "FAIL  learning" not in out


def test_targets_belong_to_detectors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "parity", "tests/golden/llamagen", "--target", "var-mini"]) == 2
    assert "--target belongs to `iarbench check detector`" in capsys.readouterr().err
    assert main(["check", "detector", "encloss", "--target", "var-d16"]) == 2
    assert "no images of it are packaged; choose one of" in capsys.readouterr().err
