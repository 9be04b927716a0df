"""The door to the Hugging Face Hub, against a server on this machine that answers as the Hub does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hub import Hub, Repository, loopback_hub

import iarbench
from iarbench.images.image_set import ImageSet
from iarbench.testing import toy_records

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("repository")
    ImageSet.write(toy_records(2, "a", "test", 0), folder / "data" / "one")
    ImageSet.write(toy_records(2, "b", "calibration", 1), folder / "data" / "two")
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.parquet"))}
    with loopback_hub() as server:
        server.repositories |= {"datasets/o/n": Repository(), "datasets/o/gated": Repository(gated=True)}
        server.repositories["datasets/o/private"] = Repository(private=True)
        server.repositories["datasets/o/n"].commit(files)
        yield server


def run(home: Path, hub: Hub, *commands: list[str], **more: str) -> tuple[list[str], list[str]]:
    """As somebody who is not logged in."""
    return hub.run(home, *commands, **{"HF_TOKEN": "", **more})


def test_a_repository_is_an_image_set_with_all_its_folders(hub: Hub, tmp_path: Path) -> None:
    out, _ = run(tmp_path, hub, ["images", "info", "hf:o/n"])
    assert out[0].startswith("hf:o/n: 4 images")
    assert out[1:] == [
        "  a/test: 2 images, 16x16, PNG", "  b/calibration: 2 images, 16x16, PNG", "status 0"
    ]  # fmt: skip
    commit = hub.repositories["datasets/o/n"].head
    again, _ = run(tmp_path, Hub(NOWHERE), ["images", "info", f"hf:o/n@{commit}"], HF_HUB_OFFLINE="1")
    assert again[1:] == out[1:]


def test_a_repository_is_imported_and_stays_an_image_set(hub: Hub, tmp_path: Path) -> None:
    wanted = ["images", "import", "hub:o/n", "--out", str(tmp_path / "set")]
    wrong = [*wanted[:-1], str(tmp_path / "other")]
    choices = [["--hub-split", "nowhere"], ["--config", "nowhere"], ["--revision", "nowhere"]]
    refused = [["images", "import", f"hub:{name}", "--out", wrong[-1]] for name in ("o/gated", "o/absent")]
    out, err = run(tmp_path, hub, wanted, *([*wrong, *choice] for choice in choices), *refused)
    index = ImageSet.open(tmp_path / "set").index()
    assert sorted(set(zip(index["source"], index["split"], strict=True))) == [("a", "test"), ("b", "calibration")]
    assert out[1:] == ["status 0", *["status 2"] * 5]
    lines = [line for line in err if line.startswith("error: ")]
    assert "choose one of its splits with --hub-split" in lines[0]
    assert "choose one of its configurations with --config" in lines[1]
    assert "has no revision 'nowhere'" in lines[2]
    assert "o/gated (split train): is gated: accept its terms at" in lines[3]
    assert "o/absent (split train): there is no such repository on the Hugging Face Hub" in lines[4]
    assert not (tmp_path / "other").exists()


def test_refusals_are_one_line_that_says_what_to_do(hub: Hub, tmp_path: Path) -> None:
    at = "https://huggingface.co/datasets"
    absent = "there is no such repository on the Hugging Face Hub, or it is private: log in with `hf auth login`"
    expected = {
        "o/gated": f"is gated: accept its terms at {at}/o/gated and log in with `hf auth login`",
        "o/absent": absent,
        "o/private": absent,
        "o/n@nowhere": f"has no revision 'nowhere'; the branches, tags and commits are listed at {at}/o/n",
        "a/b/c/d": "'a/b/c/d' is not the name of a repository; write owner/name",
    }
    out, err = run(tmp_path, hub, *(["images", "info", f"hf:{name}"] for name in expected))
    assert out == ["status 2"] * 5
    assert err == [f"error: hf:{name}: {line}" for name, line in expected.items()]


def test_no_network_and_no_copy_is_one_line(tmp_path: Path) -> None:
    _, err = run(tmp_path, Hub(NOWHERE), ["images", "info", "hf:o/n"])
    assert err == [
        "error: hf:o/n: the Hugging Face Hub cannot be reached, and the local cache lacks it; check the network"
    ]
    _, err = run(tmp_path, Hub(NOWHERE), ["images", "info", "hf:o/n"], HF_HUB_OFFLINE="1")
    assert err == ["error: hf:o/n: is not in the local cache, and HF_HUB_OFFLINE forbids to fetch it"]


def test_nothing_else_imports_the_hub() -> None:
    """`datasets` reaches the Hub too."""
    root = Path(iarbench.__file__).parent
    files = [*root.rglob("*.py"), *(root.parent / "generators").glob("*.py"), *(root.parent / "tools").glob("*.py")]
    assert len(files) > 100
    doors = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_bytes())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if {module.partition(".")[0] for module in modules} & {"huggingface_hub", "datasets"}:
                doors.add(file.relative_to(root.parent).as_posix())
    assert doors == {"iarbench/hub.py", "iarbench/hub_upload.py"}
