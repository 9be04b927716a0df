from __future__ import annotations

from pathlib import Path

import pytest
from toys import Toys

from iarbench.attack import Chain, parse
from iarbench.attacks import recompress
from iarbench.attacks.suites import SUITES, expand
from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.harness import manifest
from iarbench.registry import ATTACKS


@pytest.mark.parametrize("name", SUITES)
def test_names_are_canonical_and_none_is_first(name: str) -> None:
    attacks = SUITES[name].attacks
    assert [parse(one).name for one in attacks] == list(attacks)
    assert attacks[0] == "none"
    assert len(set(attacks)) == len(attacks)


def test_grids_are_those_of_the_papers() -> None:
    iclr = SUITES["iclr2026"].attacks
    assert [name for name in iclr if name.startswith("noise")] == ["noise0.05", "noise0.1", "noise0.15", "noise0.2"]
    assert [name for name in iclr if name.startswith("resize")][:2] == ["resize0.95", "resize0.9"]
    assert len(iclr) == 1 + 10 + 4 + 9 + 10 + 10 + 10 + 10
    assert set(SUITES["iclr2026-default"].attacks) < set(iclr)
    assert "blur:kernel=9,sigma=1.7" in SUITES["wmar"].attacks
    assert {"rotate45", "erase0.25", "jpeg10", "gaussblur20"} < set(SUITES["waves"].attacks)
    assert sum(isinstance(parse(name), Chain) for name in SUITES["waves"].attacks) == 8
    used = {step.prefix for name in SUITES["survey"].attacks for step in getattr(parse(name), "steps", (parse(name),))}
    assert used == set(ATTACKS.builtin())


def test_suites_expand_in_place_and_say_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks, notes = expand(["jpeg50", "suite:d3qe", "jpeg90"])
    assert attacks[:3] == ["jpeg50", "none", "jpeg95"]
    assert attacks.count("jpeg90") == 1
    assert notes == [f"suite d3qe: 11 attacks, none included; {SUITES['d3qe'].source}"]
    assert any(note.startswith("not in suite wmar: DiffPure") for note in expand(["suite:wmar"])[1])
    monkeypatch.setattr(recompress.features, "check", lambda name: name != "avif")
    attacks, notes = expand(["suite:survey"])
    assert "avif50" not in attacks
    assert "webp50" in attacks
    assert any(note.startswith("left out of suite survey: avif50: this Pillow has no AVIF codec") for note in notes)
    with pytest.raises(UserError, match="attack 'avif50': this Pillow has no AVIF codec"):
        expand(["avif50"])
    with pytest.raises(UserError, match="unknown suite of attacks 'wames': did you mean 'waves'"):
        expand(["suite:wames"])
    with pytest.raises(UserError, match="'suite:wmar' stands for several attacks: give it as"):
        parse("suite:wmar")


def test_a_run_of_a_suite_notes_it(toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "run",
        "--task",
        str(toy_family.task),
        "--out",
        str(tmp_path / "out"),
        "--attack",
        "suite:iclr2026-default",
    ]
    words += ["--limit", "10", "--detector", "quantloss", "--encoder", "original", "--target", "toy-a"]
    assert main([*words, "--device", "cpu"]) == 0
    assert "note: suite iclr2026-default: 8 attacks" in capsys.readouterr().err
    found = manifest.read(tmp_path / "out")
    assert found is not None
    assert found.task.effective.attacks == SUITES["iclr2026-default"].attacks
    assert any(note.startswith("suite iclr2026-default") for note in found.notes)
