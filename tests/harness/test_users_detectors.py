"""Detectors that users bring: what they do reaches nobody else's scores; what they must not do is refused by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from toys import Toys, run

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.harness.choose import choose
from iarbench.images.image_set import ImageSet
from iarbench.results.scores import load_scores

BUGS = Path(__file__).parents[1] / "bugs"
CONTRACT = BUGS / "plugin_contract" / "mine.py"
STATE = BUGS / "threads_share_a_detector" / "state.py"
IN_PLACE = BUGS / "detector_changes_images_in_place" / "inplace.py"

HEAD = "import random\nimport numpy as np\nimport torch\nfrom iarbench.detector import Detector, mse\n"


def written(folder: Path, body: str, init: str = "", name: str = "mine") -> str:
    """A detector whose method score has this body."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    text = f"{HEAD}class Mine(Detector):\n    name = {name!r}\n{init}    def score(self, e):\n{lines}"
    (folder / f"{name}.py").write_text(text)
    return f"{folder}/{name}.py:Mine"


def refused(toys: Toys, out: Path, *args: object, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a run ends."""
    status = main(["run", "--task", str(toys.task), "--out", str(out), "--quiet", "--device", "cpu", *map(str, args)])
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert lines == said.err.splitlines()[-1:]
    return lines[0]


BROKEN = {
    "ReturnsTensor": "detector 'returnstensor': score returned a Tensor; return {name: scores}",
    "ReturnsNumpy": "detector 'returnsnumpy': score 's' is a ndarray; return {name: scores}",
    "ReturnsList": "detector 'returnslist': score 's' is a list; return {name: scores}",
    "ReturnsNone": "detector 'returnsnone': score returned None; return {name: scores}",
    "Empty": "detector 'empty': score returned an empty dict; return {name: scores}",
    "Raises": "detector 'raises': KeyError: 'x' (mine.py, line ",
    "NanOnce": "detector 'nanonce': score 's' is nan for 1 of 4 images",
    "Infinite": "detector 'infinite': score 's' is inf for ",
    "Complex": "detector 'complex': score 's' holds complex numbers",
    "NoneVersion": "detector NoneVersion has version None; it must be a whole number from 1",
    "NoName": 'detector NoName has no name; write name = "noname" in the class',
    "BadInit": "detector 'badinit' cannot be made: ValueError: config missing",
    "Keys": "detector 'keys': its scores are called a, then a, b; return the same names every time",
    "Nowhere": "unknown name in this file 'Nowhere'",
}


@pytest.mark.parametrize(("name", "message"), BROKEN.items())
def test_what_breaks_the_contract_is_one_line(
    name: str, message: str, toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--limit", "5", "--attack", "none", "--detector", f"{CONTRACT}:{name}")
    line = refused(toy_family, tmp_path / "out", *args, capsys=capsys)
    assert message in line


@pytest.mark.parametrize("name", ["Raises", "NanOnce", "ReturnsNone"])
def test_trace_says_the_same(name: str, toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.png").write_bytes(a_picture(toy_family))
    args = ["trace", str(tmp_path / "x.png"), "--task", str(toy_family.task), "--quiet", "--detector"]
    assert main([*args, f"{CONTRACT}:{name}"]) == 2
    assert BROKEN[name] in capsys.readouterr().err


def a_picture(toys: Toys) -> bytes:
    images = ImageSet.open(toys.images)
    return next(iter(images.read(images.index()["image_id"].tolist()[:1]))).bytes


@pytest.mark.parametrize("name", ["Prints", "View", "NumpyParameter"])
def test_what_is_harmless_works(
    name: str, toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(toy_family, tmp_path / "out", "--attack", "none", "--json", "--detector", f"{CONTRACT}:{name}")
    assert len(found) == 2 * 2 * 125
    assert "debug" not in capsys.readouterr().out


def test_scores_depend_on_neither_batch_nor_workers(toy_family: Toys, tmp_path: Path) -> None:
    same = written(tmp_path, "w = torch.rand(3)\nreturn {'s': (e.images.mean((2, 3)) * w).sum(1) + random.random()}")
    detectors = f"{STATE}:Stateful,{STATE}:Hooked,{same},quantloss"
    args = ("--attack", "none", "--encoder", "original", "--limit", "12", "--detector", detectors)
    alone = run(toy_family, tmp_path / "one", *args, "--batch-size", "1")
    plain = run(toy_family, tmp_path / "ten", *args, "--batch-size", "5")
    beside = run(toy_family, tmp_path / "workers", *args, "--batch-size", "5", "--workers", "1")
    assert set(plain.index.unique("detector")) == {"stateful", "hooked", "mine", "quantloss"}
    pd.testing.assert_series_equal(plain, beside, check_exact=True)
    pd.testing.assert_series_equal(plain, alone, rtol=1e-6, atol=0)


def test_hooks_and_company_change_nobody_elses_scores(toy_family: Toys, tmp_path: Path) -> None:
    leave = "e.target.tokenizer.encoder.register_forward_hook(lambda m, a, out: out * 2)\nreturn {'s': -mse(e.f, e.f)}"
    hooks = written(tmp_path, leave)
    both = run(toy_family, tmp_path / "both", "--attack", "none", "--detector", f"{hooks},quantloss")
    alone = run(toy_family, tmp_path / "alone", "--attack", "none", "--detector", "quantloss")
    pd.testing.assert_series_equal(both.xs("quantloss", drop_level=False), alone, check_exact=True)


REFUSED = {
    "images in place": ("e.images.sub_(0.5)\nreturn {'s': -mse(e.images, e.images * 0)}", "changes evidence.images"),
    "images through numpy": ("e.images.numpy()[:] = 0\nreturn {'s': e.images.sum((1, 2, 3))}", "evidence.images"),
    "a signal in place": ("e.f.mul_(2)\nreturn {'s': e.f.sum((1, 2, 3))}", "changes evidence.f in place"),
    "a part of a signal": ("e.quantized.features.zero_()\nreturn {'s': e.f.sum((1, 2, 3))}", "evidence.quantized"),
    "the weights": ("next(e.target.tokenizer.parameters()).data.mul_(2)\nreturn {'s': mse(e.f, e.f)}", "weights"),
    "the batch": ("s = mse(e.f, e.f * 0)\nreturn {'s': s - s.mean()}", "must not depend on the rest of the batch"),
    "random numbers": ("return {'s': torch.rand(len(e.images))}", "random numbers that differ from image to image"),
    "numpy's": ("return {'s': torch.tensor(np.random.rand(len(e.images)))}", "must not depend"),
    "earlier images": (
        "self.n = getattr(self, 'n', 0) + len(e.images)\nreturn {'s': e.images.mean((1, 2, 3)) + self.n}",
        "must not depend",
    ),
    "a module's state": (
        "global calls\ncalls = globals().get('calls', 0) + 1\nreturn {'s': e.images.mean((1, 2, 3)) * calls}",
        "must not depend",
    ),
    "the transformer": ("e.target.generator.transformer\nreturn {}", "asks for the target's transformer"),
    "exit": ("raise SystemExit(3)", "it exits (3)"),
    "a missing package": ("import no_such_package", "it needs the package 'no_such_package'"),
    "a score's name": ("return {'a/b': e.images.mean((1, 2, 3))}", "'a/b' is no name for a score"),
    "two numbers": ("return {'s': e.images.mean((2, 3))}", "has shape (4, 3) for 4 images"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_make_scores_meaningless_is_refused(
    what: str, toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body, message = REFUSED[what]
    args = ("--limit", "5", "--attack", "none", "--detector", f"quantloss-modes,{written(tmp_path, body)}")
    line = refused(toy_family, tmp_path / "out", *args, capsys=capsys)
    assert line.startswith("error: detector 'mine': ")
    assert message in line


def test_state_that_shows_late_is_refused_before_it_is_stored(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "self.n = getattr(self, 'n', 0) + 1\nreturn {'s': e.images.mean((1, 2, 3)) + (self.n > 7)}"
    args = ("--attack", "none", "--batch-size", "5", "--target", "toy-a", "--detector", written(tmp_path, body))
    assert "must not depend" in refused(toy_family, tmp_path / "out", *args, capsys=capsys)
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_change_in_place_is_refused_by_name(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(toy_family, tmp_path / "out", "--detector", f"{IN_PLACE}:Inplace,quantloss", capsys=capsys)
    assert line.startswith("error: detector 'inplace': it changes evidence.images in place; work on a copy")


def test_the_first_thing_seen_is_kept_for_one_target_alone(toy_family: Toys, tmp_path: Path) -> None:
    body = "self.t = getattr(self, 't', e.target)\nreturn {'s': -mse(e.f, self.t.tokenizer.quantize(e.f).features)}"
    args = ("--attack", "none", "--encoder", "original", "--detector", written(tmp_path, body))
    both = run(toy_family, tmp_path / "both", *args)
    for target in ("toy-a", "toy-b"):
        alone = run(toy_family, tmp_path / target, *args, "--target", target)
        pd.testing.assert_series_equal(both[alone.index], alone, check_exact=True)


PARAMETERS = """\
    def __init__(self, steps: int = 3, *, rate: float = 0.5, how: str = "x", on: bool = False):
        self.x = steps * rate
"""


def test_two_settings_of_one_detector_stand_side_by_side(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = written(tmp_path, "return {'mine': e.images.mean((1, 2, 3)) * self.x}", PARAMETERS)
    found = run(toy_family, tmp_path / "out", "--attack", "none", "--detector", f"{mine},{mine}:steps=6,on=true")
    assert len(found) == 2 * 2 * 2 * 125
    shown = capsys.readouterr().out
    heads = [head.strip() for head in shown.splitlines()[0].split("  ") if head]
    assert heads[2:] == ["mine TPR@5%", "mine on=true,steps=6 TPR@5%"]


def test_parameters_are_checked_and_written_one_way(tmp_path: Path) -> None:
    mine = written(tmp_path, "return {'mine': e.images.mean((1, 2, 3)) * self.x}", PARAMETERS)
    assert choose(f"{mine}:steps=3").identity == choose(mine).identity
    assert choose(f"{mine}:rate=.50,steps=6").identity == choose(f"{mine}:steps=6").identity
    one = choose(f"{mine}:steps=6,rate=0.1")
    assert one.label == "mine:rate=0.1,steps=6"
    assert one.identity["all_parameters"] == {"how": "x", "on": False, "rate": 0.1, "steps": 6}
    assert one.make().x == pytest.approx(0.6)  # type: ignore[attr-defined]
    for given, message in [
        ("stpes=3", "unknown parameter 'stpes': did you mean 'steps'?.*; with their defaults: steps=3,rate=0.5"),
        ("steps=1.5", "steps is '1.5'; it must be a whole number"),
        ("rate=nan", "rate is 'nan'; it must be a number"),
        ("on=maybe", "on is 'maybe'; it must be true or false"),
        ("steps=", "is not a parameter"),
    ]:
        with pytest.raises(UserError, match=message):
            choose(f"{mine}:{given}")
    bare = written(tmp_path, "return {}", "    def __init__(self, steps):\n        pass\n", name="bare")
    with pytest.raises(UserError, match="the parameter 'steps' must be annotated"):
        choose(bare)


def test_two_detectors_of_one_name_are_refused(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").mkdir()
    one = written(tmp_path, "return {'s': e.images.mean((1, 2, 3))}")
    two = written(tmp_path / "b", "return {'s': -e.images.mean((1, 2, 3))}")
    line = refused(toy_family, tmp_path / "out", "--detector", f"{one},{two}", capsys=capsys)
    assert "two detectors of the same name, 'mine'" in line
    ours = written(tmp_path, "return {'s': e.images.mean((1, 2, 3))}", name="quantloss")
    line = refused(toy_family, tmp_path / "out", "--detector", ours, capsys=capsys)
    assert "is called 'quantloss', as one of ours is" in line


def test_the_key_covers_neighbours_and_declared_weights(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("scale = 2\n")
    (tmp_path / "w.bin").write_bytes(b"1")
    init = "    weights = ('w.bin',)\n"
    mine = written(tmp_path, "import helper\nreturn {'s': e.images.mean((1, 2, 3)) * helper.scale}", init)
    before = choose(mine).identity
    (tmp_path / "helper.py").write_text("scale = 3\n")
    other = choose(mine).identity
    (tmp_path / "w.bin").write_bytes(b"2")
    assert before != other != choose(mine).identity
    (tmp_path / "w.bin").unlink()
    with pytest.raises(UserError, match=r"there is no weight file .*w\.bin, which it declares"):
        choose(mine)


def test_modules_beside_the_file_are_found_while_it_scores(toy_family: Toys, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("scale = 2\n")
    mine = written(tmp_path, "import helper\nreturn {'s': e.images.mean((1, 2, 3)) * helper.scale}")
    assert len(run(toy_family, tmp_path / "out", "--attack", "none", "--detector", mine))


@pytest.mark.long
def test_the_size_of_the_batch_changes_no_score_to_the_last_bit(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "from iarbench.detector import Detector\n"
        "class Plain(Detector):\n"
        "    name = 'plain'\n"
        "    def score(self, evidence):\n"
        "        return {'plain': -(evidence.x_hat - evidence.images).square().flatten(1).mean(1)}\n"
    )
    found = []
    for size in ("3", "20"):
        words = ["run", "--detector", f"{tmp_path}/plain.py:Plain", "--target", "llamagen-mini", "--limit", "10"]
        words += ["--encoder", "inverse", "--attack", "none", "--device", "cpu", "--quiet"]
        assert main([*words, "--batch-size", size, "--out", str(tmp_path / size)]) == 0
        found.append(load_scores(tmp_path / size).set_index("image_id")["score"].sort_index())
    pd.testing.assert_series_equal(*found, check_exact=True)
