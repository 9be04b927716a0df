"""A crop moves the grid of tokens; the search finds it again, and everybody is searched alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from toys import Toys

from iarbench.cli import main
from iarbench.detector import Detector
from iarbench.detectors.quantloss import QuantLoss
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.harness.align import Aligned, moved, search
from iarbench.harness.choose import choose
from iarbench.harness.run import recompute
from iarbench.results.rows import Row
from iarbench.testing import toy_images, toy_target


def images(count: int = 6, offset: int | None = 0) -> torch.Tensor:
    return torch.from_numpy(toy_images(count, 1, offset)).permute(0, 3, 1, 2).float() / 255


def test_moving_by_hand() -> None:
    one = torch.arange(16.0).view(1, 1, 4, 4) / 16
    assert torch.equal(moved(one, 4, 0, 0), one)
    right = moved(one, 4, 1, 0)
    assert torch.equal(right[..., 1:], one[..., :3])
    assert torch.equal(right[..., 0], one[..., 0])  # mirrored
    down = moved(one, 4, 0, -1)
    assert torch.equal(down[..., :3, :], one[..., 1:, :])
    flat = moved(torch.full((1, 3, 8, 8), 0.25), 6, 1, 1)
    assert torch.allclose(flat, torch.tensor(0.25), atol=1e-6)
    small = moved(images(1), 12, 0, 0)
    assert torch.equal(small[..., 12:], small[..., 8:12].flip(-1))


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 2), (2, 1)])
def test_the_phase_is_found_and_the_error_with_it(right: int, down: int) -> None:
    shifted = moved(images(), 16, -right, -down)
    evidence = Evidence(toy_target(), shifted)
    scores = Aligned(QuantLoss(), "phase").score(evidence)
    assert scores["quantloss"] == pytest.approx(0, abs=1e-10)
    strangers = Aligned(QuantLoss(), "phase").score(Evidence(toy_target(), images(offset=None)))
    assert scores["contrast"].min() > strangers["contrast"].max()
    if right:
        assert QuantLoss().score(evidence)["quantloss"].max() < -1e-4


class Told(Detector):
    name = "told"
    reads = frozenset({"tokenizer", "condition"})

    def score(self, evidence: Evidence) -> dict[str, torch.Tensor]:
        return {"told": torch.tensor([float(len(one)) for one in evidence.conditions])}


def test_a_moved_image_keeps_its_condition() -> None:
    evidence = Evidence(toy_target(), images(3), conditions=("", "a", "abc"))
    assert Aligned(Told(), "phase").score(evidence)["told"].tolist() == [0.0, 1.0, 3.0]


def test_an_aligned_score_is_never_below_the_plain_one() -> None:
    evidence = Evidence(toy_target(), images(offset=None))
    plain = QuantLoss().score(evidence)["quantloss"]
    for align in ("phase", "phase-scale"):
        assert (Aligned(QuantLoss(), align).score(evidence)["quantloss"] >= plain).all()


def test_scale_is_found_as_well() -> None:
    target = toy_target(image_size=64, cell=8)
    original = torch.from_numpy(toy_images(4, 1, 0, 64, 8)).permute(0, 3, 1, 2).float() / 255
    enlarged = torch.nn.functional.interpolate(original[..., 3:61, 3:61], size=(64, 64), mode="bicubic").clamp(0, 1)
    evidence = Evidence(target, enlarged)
    plain, aligned = QuantLoss().score(evidence), Aligned(QuantLoss(), "phase-scale").score(evidence)
    assert (aligned["quantloss"] > plain["quantloss"] / 4).all()
    assert (aligned["contrast"] > -0.4).all()


def test_no_image_changes_another_ones_search() -> None:
    both = torch.cat([images(3), images(3, None)])
    together = search(Evidence(toy_target(), both), "phase")
    for place in range(6):
        alone = search(Evidence(toy_target(), both[place : place + 1]), "phase")
        assert torch.allclose(alone.contrast, together.contrast[place], atol=1e-7)
        for one, all_ in zip(alone.images, together.images, strict=True):
            assert torch.equal(one[0], all_[place])


def test_names_and_mistakes() -> None:
    plain, aligned = choose("quantloss"), choose("quantloss:align=phase")
    assert (plain.label, aligned.label) == ("quantloss", "quantloss:align=phase")
    assert aligned.identity["parameters"] == "align=phase"
    assert {key: value for key, value in plain.identity.items() if key != "parameters"} == {
        key: value for key, value in aligned.identity.items() if key not in ("parameters", "align_version")
    }
    assert isinstance(aligned.make(), Aligned)
    with pytest.raises(UserError, match="detector 'quantloss': align is 'rotation'; choose one of phase, phase-scale"):
        choose("quantloss:align=rotation")
    with pytest.raises(UserError, match="detector 'trivial' reads the image alone"):
        choose("trivial:align=phase")


def rows_of(toys: Toys, out: Path, *more: str) -> list[Row]:
    words = ["run", "--task", str(toys.task), "--out", str(out), "--quiet", "--device", "cpu", "--target", "toy-a"]
    words += ["--encoder", "original", "--attack", "crop:scale=0.9,back=mirror", *more]
    assert main(words) == 0
    return recompute(out).rows


def test_a_run_with_align(toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def auroc(rows: list[Row], name: str) -> float:
        (row,) = (r for r in rows if (r.metric, r.nonmember_set, r.score_name) == ("auroc", "noise", name))
        assert row.value is not None
        return row.value

    plain = auroc(rows_of(toy_family, tmp_path / "plain", "--detector", "quantloss"), "quantloss")
    rows = rows_of(toy_family, tmp_path / "aligned", "--detector", "quantloss", "--align", "phase")
    assert {row.parameters for row in rows} == {"align=phase"}
    assert auroc(rows, "quantloss") == auroc(rows, "contrast") == 1.0
    assert plain < 1.0
    words = [
        "run",
        "--task",
        str(toy_family.task),
        "--out",
        str(tmp_path / "x"),
        "--detector",
        "all",
        "--align",
        "phase",
    ]
    assert main([*words, "--align", "phase"]) == 2
    assert "--align needs detectors by name" in capsys.readouterr().err


@pytest.mark.long
def test_a_users_detector_is_aligned_too(toy_family: Toys, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from iarbench.detector import Detector, mse\n"
        "class Mine(Detector):\n"
        "    name = 'mine'\n"
        "    def score(self, evidence):\n"
        "        return {'mine': -mse(evidence.f, evidence.quantized.features)}\n"
    )
    rows = rows_of(toy_family, tmp_path / "o", "--detector", f"{tmp_path}/mine.py:Mine", "--align", "phase")
    (area,) = (r.value for r in rows if (r.metric, r.nonmember_set, r.score_name) == ("auroc", "noise", "mine"))
    assert area == 1.0


def test_trace_aligns_as_well(toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cropped,) = (moved(images(1), 16, -1, -1) * 255).round().byte()
    Image.fromarray(cropped.permute(1, 2, 0).numpy()).save(tmp_path / "cropped.png")
    words = ["trace", str(tmp_path / "cropped.png"), "--task", str(toy_family.task), "--target", "toy-a", "--quiet"]
    words += ["--alpha", "0.1", "--device", "cpu", "--json"]
    answers = []
    for more in ([], ["--align", "phase"]):
        assert main([*words, *more]) == 0
        answers.append(json.loads(capsys.readouterr().out.splitlines()[0])["decision"])
    assert answers[0] != "toy-a"
    assert answers[1] == "toy-a"
