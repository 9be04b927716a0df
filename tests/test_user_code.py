"""Code of users: loaded from files, told apart, and kept from the rest of the program."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from iarbench.errors import UserError
from iarbench.user_code import code_of_file, code_of_module, load_module, neighbours, one_line_errors, own_random_state


def load(path: Path, text: str) -> object:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return load_module(path, path.name)


def test_modules_of_one_name_in_two_folders_never_meet(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"here = {name!r}\n")
    text = "import helper\ndef later():\n    import helper\n    return helper.here, helper is seen\nseen = helper\n"
    a, b = (load(tmp_path / name / "mine.py", text) for name in "ab")
    assert (a.seen.here, b.seen.here) == ("a", "b")  # type: ignore[attr-defined]
    for module, name in ((a, "a"), (b, "b"), (a, "a")):
        with neighbours(tmp_path / name):
            assert module.later() == (name, True)  # type: ignore[attr-defined]
    assert "helper" not in sys.modules
    assert str(tmp_path / "a") not in sys.path


def test_a_module_of_the_same_name_elsewhere_is_left_where_it_was(tmp_path: Path) -> None:
    ours = sys.modules["toys"] = type(sys)("toys")
    try:
        (tmp_path / "toys.py").write_text("whose = 'theirs'\n")
        assert load(tmp_path / "mine.py", "import toys\nwhose = toys.whose\n").whose == "theirs"  # type: ignore[attr-defined]
        assert sys.modules["toys"] is ours
    finally:
        del sys.modules["toys"]


def test_the_digest_covers_what_the_file_imports_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    files = {
        "mine.py": "import json, one, importlib\nfrom pack import deep\nimportlib.import_module('late')\n",
        "one.py": "import two\n",
        "two.py": "",
        "late.py": "",
        "pack/__init__.py": "",
        "pack/deep.py": "from . import beside\n",
        "pack/beside.py": "",
        "unused.py": "",
        "json.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    code = code_of_file(tmp_path / "mine.py")
    before = code.digest
    for name, text in files.items():
        (tmp_path / name).write_text(text + "# changed\n")
        assert (code.digest != before) is (name not in ("unused.py", "json.py")), name
        (tmp_path / name).write_text(text)
    assert code.digest == before


def test_an_installed_module_counts_with_its_own_package_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "detector.py").write_text("import beside_it\nfrom their_package import model\n")
    (package / "model.py").write_text("")
    (tmp_path / "beside_it.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    code = code_of_module("their_package.detector")
    assert code is not None
    before = code.digest
    (tmp_path / "beside_it.py").write_text("# changed\n")
    assert code.digest == before
    (package / "model.py").write_text("# changed\n")
    assert code.digest != before
    assert "their_package" not in sys.modules
    assert code_of_module("no_such_package.x") is None


def test_an_edited_file_is_loaded_anew(tmp_path: Path) -> None:
    assert load(tmp_path / "mine.py", "x = 1\n").x == 1  # type: ignore[attr-defined]
    first = load(tmp_path / "mine.py", "x = 2\n")
    assert first.x == 2  # type: ignore[attr-defined]
    assert load(tmp_path / "mine.py", "x = 2\n") is first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import argparse\np = argparse.ArgumentParser()\np.add_argument('x')\np.parse_args()\n", "it exits"),
        ("import sys\nsys.exit('bye')\n", r"it exits \(bye\)"),
        ("import no_such_package\n", "needs the package 'no_such_package', which is not installed"),
        ("def f(:\n", "SyntaxError"),
        ("\n\n1 / 0\n", r"ZeroDivisionError: division by zero \(mine\.py, line 3\)"),
    ],
)
def test_a_file_that_does_not_load_is_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=rf"^mine\.py: the file does not load: .*{message}") as caught:
        load(tmp_path / "mine.py", text)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_file_that_parses_optional_arguments_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["iarbench", "run", "--detector", "x"])
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', default=7)\nx = p.parse_args().x\n"
    assert load(tmp_path / "mine.py", text).x == 7  # type: ignore[attr-defined]
    assert sys.argv[1:] == ["run", "--detector", "x"]


def test_prints_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(tmp_path / "mine.py", "print('loading')\n")
    with one_line_errors("x"):
        print("working")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "loading\nworking\n")


def test_random_numbers_start_anew_and_leave_no_trace() -> None:
    def draw() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]

    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # type: ignore[func-returns-value]
    expected = draw()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # type: ignore[func-returns-value]
    with own_random_state():
        first = draw()
        torch.set_default_dtype(torch.float64)
    with own_random_state():
        assert draw() == first
        torch.set_grad_enabled(False)
    assert draw() == expected
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
