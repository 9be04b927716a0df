"""A generator goes to the Hub and is used from there, under a name that stays the same for all time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from loopback_hub import Hub, Repository, loopback_hub
from toys import Toys

from iarbench.images.image_set import ImageSet

MODEL = "models/o/toy"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with loopback_hub() as server:
        yield server


def status(out: list[str]) -> list[str]:
    return [line.removeprefix("status ") for line in out if line.startswith("status")]


def publish(toys: Toys, hub: Hub, home: Path, *more: str) -> tuple[list[str], list[str]]:
    words = ["publish", "--generator", "toy-a", "--repo", "o/toy", *more]
    return hub.run(home, words, words, IARBENCH_GENERATORS=str(toys.family))


def test_a_generator_is_published_and_makes_images_from_there(toys: Toys, hub: Hub, tmp_path: Path) -> None:
    out, err = publish(toys, hub, tmp_path)
    assert status(out) == ["0", "0"], err
    repository = hub.repositories[MODEL]
    assert sorted(repository.files) == [
        "README.md", "generator.yaml", "toy-a-inverse.safetensors", "toy-a.safetensors"
    ]  # fmt: skip
    assert len(repository.commits) == 3  # empty, files, card; the same again adds none
    assert f"hf:o/toy@{repository.head}" in out
    described = yaml.safe_load(repository.files["generator.yaml"])["variants"]["toy-a"]
    assert set(described["files"]) == {"tokenizer", "inverse"}
    assert "hf:o/toy" in repository.files["README.md"].decode()


@pytest.mark.long
def test_a_published_generator_is_a_target_with_its_commit(toys: Toys, hub: Hub, tmp_path: Path) -> None:
    publish(toys, hub, tmp_path)
    pinned = f"hf:o/toy@{hub.repositories[MODEL].head}"
    images = ImageSet.open(toys.images)
    for source in ("toy-a", "noise"):
        (tmp_path / source).mkdir()
        for record in images.read(images.filter(source=source).index()["image_id"].tolist()):
            (tmp_path / source / record.path.replace("/", "_")).write_bytes(record.bytes)
    own = ["--members", str(tmp_path / "toy-a"), "--real", str(tmp_path / "noise"), "--attack", "none", "--quiet"]
    run = ["run", "--target", "hf:o/toy", "--detector", "quantloss", "--encoder", "inverse", *own]
    out, err = hub.run(tmp_path, [*run, "--out", str(tmp_path / "run")], ["report", str(tmp_path / "run"), "--json"])
    assert status(out) == ["0", "0"], err
    rows = (tmp_path / "run" / "results.jsonl").read_text()
    assert f'"{pinned}"' in rows
    assert '"hf:o/toy"' not in rows
    again, _ = hub.run(tmp_path, [*run, "--out", str(tmp_path / "run")], HF_HUB_OFFLINE="1")
    assert status(again) == ["0"]


def test_what_comes_from_the_hub_is_not_run(hub: Hub, tmp_path: Path) -> None:
    base = {"image_size": 16, "tokenizer": {}, "transformer": {}, "sampling": {"default": {}}, "licence": "MIT"}
    base |= {"citation": "", "code": "iarbench.testing:ToyGenerator"}
    good = {"tokenizer": {"path": "a.safetensors", "sha256": "0" * 64}}
    refused = {
        "code": ({**base, "code": "./family.py:Family", "files": good}, "comes with code of its own"),
        "package": ({**base, "code": "antigravity:x", "files": good}, "no installed package 'antigravity'"),
        "pickle": ({**base, "files": {"tokenizer": {"path": "a.pth", "sha256": "0" * 64}}}, "must be a .safetensors"),
        "outside": ({**base, "files": {"tokenizer": {"path": "../a.safetensors"}}}, "in the root of the repository"),
        "unhashed": ({**base, "files": {"tokenizer": {"path": "a.safetensors"}}}, "lacks a sha256"),
    }
    for name, (described, _) in refused.items():
        text = yaml.safe_dump({"family": "toy", "variants": {"x": described}})
        hub.repositories[f"models/o/{name}"] = Repository()
        hub.repositories[f"models/o/{name}"].commit({"generator.yaml": text.encode()})
    hub.repositories["models/o/empty"] = Repository()
    names = [*refused, "empty", "absent"]
    make = ["generate", "--count", "1", "--out", str(tmp_path / "made"), "--generator"]
    out, err = hub.run(tmp_path, *([*make, f"hf:o/{name}"] for name in names))
    assert status(out) == ["2"] * len(names)
    lines = [line for line in err if line.startswith("error: ")]
    reasons = [*(reason for _, reason in refused.values()), "no such file", "no such repository"]
    for line, name, reason in zip(lines, names, reasons, strict=True):
        assert line.startswith(f"error: hf:o/{name}: ")
        assert reason in line
    assert not (tmp_path / "made").exists()


def test_a_generator_without_files_of_its_own_is_not_published(hub: Hub, tmp_path: Path) -> None:
    words = ["publish", "--repo", "o/x", "--generator"]
    out, err = hub.run(tmp_path, [*words, "var-d16"], [*words, "var-mini", "--licence", "a=MIT"], [*words, "vr-mini"])
    assert out == ["status 2"] * 3
    assert err[0] == "error: var-d16 has no weight files of its own: all of them are published already"
    assert "a generator's licence stands in its description" in err[1]
    assert "did you mean 'var-mini'" in err[2]
    assert not hub.repositories
