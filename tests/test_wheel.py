"""The wheel holds everything: built here, installed into an empty environment, used from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and nothing else; dependencies are lent by PYTHONPATH."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("iarbench-*.whl")
    venv.create(folder / "env", with_pip=False)
    target = next((folder / "env" / "lib").glob("python*")) / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel]
    subprocess.run(install, check=True)
    return folder / "env" / "bin" / "python"


def run(python: Path, *args: str, cwd: Path) -> str:
    lent = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    env = {**os.environ, "PYTHONPATH": lent, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([python, *args], cwd=cwd, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_installed_package_is_the_wheel(python: Path, tmp_path: Path) -> None:
    code = "import iarbench, iarbench.generators, iarbench.tasks; print(iarbench.__file__, iarbench.tasks.__file__)"
    for path in run(python, "-c", code, cwd=tmp_path).split():
        assert str(python.parents[1]) in path


def test_content_came_along(python: Path, tmp_path: Path) -> None:
    listed = run(python, "-m", "iarbench", "ls", cwd=tmp_path)
    assert "llamagen-mini" in listed
    assert "var-d30" in listed
    code = (
        "from pathlib import Path; import iarbench.data, iarbench.data_cards, iarbench.leaderboard as board;"
        "print(*sorted(p.name for p in Path(iarbench.data_cards.__path__[0]).glob('*.md')),"
        "len(list(Path(board.__path__[0]).glob('rows/*.jsonl'))))"
    )
    assert "iarbench-mini.md" in run(python, "-c", code, cwd=tmp_path)
    built = run(python, "-m", "iarbench", "gallery", "build", "iarbench-mini", "--real", "flickr", "--k", "1",
                "--out", "mini.gallery", cwd=tmp_path)  # fmt: skip
    assert "7 images of 7 classes" in built
    code = "from iarbench.content import lock_path; from iarbench.images.lock import Lock;"
    code += "print(len(Lock.read(lock_path('coco-700')).images))"
    assert run(python, "-c", code, cwd=tmp_path) == "700\n"


def test_the_board_is_built_from_the_wheel(python: Path, tmp_path: Path) -> None:
    assert run(python, "-m", "iarbench", "board", "build", "--out", "site", cwd=tmp_path) == "site/index.html\n"
    for name in ("detectors/quantloss.html", "assets/board.css", "assets/vendor/echarts.min.js", "CITATIONS.bib"):
        assert (tmp_path / "site" / name).stat().st_size > 1000


def test_pages_and_cards_are_made_from_the_wheel(python: Path, tmp_path: Path) -> None:
    run(python, "-m", "iarbench", "images", "import", "iarbench-mini", "--limit", "20", "--out", "some", cwd=tmp_path)
    run(python, "-m", "iarbench", "audit", "some", "--page", "audit.html", cwd=tmp_path)
    assert "<!doctype html>" in (tmp_path / "audit.html").read_text()
    for what in (["some"], ["--generator", "var-mini-s"]):
        out = f"look{len(what)}"
        words = ["publish", *what, "--repo", "me/it", "--dry-run", "--out", out]
        run(python, "-m", "iarbench", *words, cwd=tmp_path)
        assert (tmp_path / out / "README.md").read_text().startswith("---\n")


def test_the_packaged_task_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    out = run(
        python, "-m", "iarbench", "run", "--detector", "quantloss", "--attack", "none", "--encoder", "original",
        "--target", "llamagen-mini", "--limit", "4", "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert "llamagen-mini" in out
    assert (tmp_path / "run" / "results.jsonl").is_file()
