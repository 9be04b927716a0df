"""iarbench from Python: the page about it runs, importing is light, and mistakes are one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import blocks
from toys import Toys

import iarbench
from iarbench import UserError
from iarbench.results.rows import read_rows

PAGE = "docs/python.md"


def test_every_line_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    names: dict[str, object] = {}
    for block in blocks(PAGE, "python"):
        exec(compile(block, PAGE, "exec"), names)
    out, err = capsys.readouterr()
    assert "llamagen-mini" in out
    assert "did you mean 'llamagen-mini'" in out
    assert "scoring" in err
    own, other = (float(line) for line in out.splitlines() if re.fullmatch(r"-?\d+\.\d+(e-\d+)?", line))
    assert own > other


def test_importing_is_light() -> None:
    code = "import sys, iarbench; sys.exit(bool({'torch', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_everything_promised_is_there() -> None:
    for name in iarbench.__all__:
        assert getattr(iarbench, name).__doc__
        assert name in dir(iarbench)
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        iarbench.runn  # noqa: B018


def test_results_are_those_of_the_command(toy_family: Toys, tmp_path: Path) -> None:
    out = tmp_path / "o"
    results = iarbench.run(str(toy_family.task), detector=["quantloss"], out=out, device="cpu", progress=False)
    stored = read_rows(out / "results.jsonl")
    assert list(results.rows.value.dropna()) == [row.value for row in stored if row.value is not None]
    called = json.loads((out / "manifest.json").read_text())["runs"][0]["command"]
    assert called.startswith(
        f"iarbench.run(task='{toy_family.task}', detector=['quantloss'], out='{out}', device='cpu'"
    )
    assert len(results.scores) == 2 * 2 * 2 * 125
    assert set(results.scores.columns) >= {"image_id", "score", "score_name", "source", "split", "group", "detector"}
    assert str(results) == results.table()
    assert iarbench.read_results(out).outcome.rows == stored
    assert iarbench.run(str(toy_family.task), detector="quantloss", out=out, progress=False).outcome.rows == stored


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "minni"}, "unknown task 'minni'"),
        ({"precision": "float16"}, "precision 'float16' is not one of float32, bfloat16"),
        ({"limit": 0}, "limit 0 is not a whole number from 1"),
        ({"workers": -1}, "workers -1 is not a whole number from 0"),
        ({"fpr": 2.0}, "key 'fpr.0'"),
        ({"weights": "nowhere"}, "weights nowhere: there is no such folder"),
        ({"device": "tpu"}, "tpu"),
        ({"attacked": "nobody"}, "key 'attacked'"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        iarbench.run(**{"out": tmp_path / "o", **changes})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "o").exists()


def test_nothing_to_score_is_one_line() -> None:
    with pytest.raises(UserError, match="there are no images to score"):
        iarbench.score(iarbench.load_detector("quantloss"), iarbench.load_target("llamagen-mini"), [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"launch": "cloud"}, "launch 'cloud' is not one of local, slurm, ray"),
        ({"jobs": 2}, "jobs needs launch='local' or 'slurm' or 'ray'"),
        ({"launch": "local", "slurm": {"partition": "gpu"}}, "slurm needs launch='slurm'"),
        ({"launch": "local", "jobs": 0}, "jobs 0 is not a whole number from 1"),
        ({"launch": "slurm"}, "launch='slurm' needs jobs"),
    ],
)
def test_what_launch_cannot_mean_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        iarbench.run("mini", **options)
