"""Image sets go to the Hub and come back: the real client against a server on this machine that fails on request."""

from __future__ import annotations

import dataclasses
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from loopback_hub import TOKEN, Fault, Hub, Repository, loopback_hub

from iarbench.hub_upload import Repository as RepositoryName
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.images.shards import SCHEMA_VERSION
from iarbench.publishing.publish_set import publish_set
from iarbench.publishing.sending import Sending
from iarbench.testing import toy_records

SET = "datasets/o/n"
LOAD = """
import sys, datasets
print(*(image["image_id"] for image in datasets.load_dataset("o/n", sys.argv[1], split=sys.argv[2])))
print(sorted(datasets.load_dataset("o/n").items(), key=lambda item: item[0])[0][1].num_rows)
"""


def images() -> Iterator[ImageRecord]:
    """Two images a part: a mini's, without licence as in older sets, and two sources of photographs."""
    for seed, (source, licence) in enumerate({"var-mini": None, "photos": "CC-BY-2.0", "my paintings": "MIT"}.items()):
        for place, split in enumerate(("test", "calibration")):
            for record in toy_records(2, source, split, 10 * seed + place):
                author = None if source == "var-mini" else "A. <b>Person</b> | Co"
                yield dataclasses.replace(record, licence=licence, author=author)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with loopback_hub() as server:
        yield server


@pytest.fixture
def some(tmp_path: Path) -> Path:
    ImageSet.write(images(), tmp_path / "some")
    return tmp_path / "some"


def front_matter(card: bytes) -> dict[str, object]:
    return yaml.safe_load(card.decode().split("---\n")[1])


def publish(folder: Path, *more: str) -> list[str]:
    return ["publish", str(folder), "--repo", "o/n", *more]


def error_of(lines: list[str]) -> str:
    """The one error among lines that may be notes and progress too."""
    (line,) = (line for line in lines if line.startswith("error: "))
    assert not any("Traceback" in line for line in lines)
    return line


def test_a_set_goes_there_and_comes_back(hub: Hub, some: Path, tmp_path: Path) -> None:
    pull = ["images", "pull", "hf:o/n", "--out", str(tmp_path / "back")]
    look = publish(some, "--dry-run", "--out", str(tmp_path / "look"))
    out, err = hub.run(tmp_path, look, publish(some, "--private"), publish(some), pull)
    assert [line for line in out if line.startswith("status")] == ["status 0"] * 4, err
    repository = hub.repositories[SET]
    assert repository.private
    first, last = (set(files) for _, files in repository.commits[1:])  # the same command again adds none
    assert last - first == {"README.md"}
    assert sorted(first) == [
        "data/my_paintings/calibration/part-00000.parquet",
        "data/my_paintings/test/part-00000.parquet",
        "data/photos/calibration/part-00000.parquet",
        "data/photos/test/part-00000.parquet",
        "data/var-mini/calibration/part-00000.parquet",
        "data/var-mini/test/part-00000.parquet",
        "samples.webp",
    ]
    assert {name: (tmp_path / "look" / name).read_bytes() for name in last} == repository.files
    assert any(line.startswith("dry run: ") and "nothing sent" in line for line in out)
    assert f"hf:o/n@{repository.head}" in out
    back = ImageSet.open(tmp_path / "back")
    assert back.fingerprint == ImageSet.open(some).fingerprint
    assert {one.source: one.licence for batch in back.iterate() for one in batch} == {
        "var-mini": "CC0-1.0", "photos": "CC-BY-2.0", "my paintings": "MIT"
    }  # fmt: skip

    card = repository.files["README.md"]
    head = front_matter(card)
    assert head["license"] == ["cc-by-2.0", "cc0-1.0", "mit"]
    assert [config["config_name"] for config in head["configs"]] == ["default", "my_paintings", "photos", "var-mini"]
    assert head["iarbench"] == {"schema_version": SCHEMA_VERSION, "images": 12, "fingerprint": back.fingerprint}
    text = card.decode()
    assert "A. &lt;b&gt;Person&lt;/b&gt; &#124; Co" in text
    assert 'load_dataset("o/n", "var-mini", split="test")' in text
    assert "Tian et al. 2024" in text


@pytest.mark.long
def test_datasets_loads_every_configuration(hub: Hub, some: Path, tmp_path: Path) -> None:
    hub.run(tmp_path, publish(some))
    for config, split, source in (("var-mini", "test", "var-mini"), ("my_paintings", "calibration", "my paintings")):
        command = [sys.executable, "-c", LOAD, config, split]
        done = subprocess.run(command, env=hub.environment(tmp_path), capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [f"{source}/{split}/00000 {source}/{split}/00001", "6"]


@pytest.mark.long
def test_what_fails_now_and_then_is_tried_again(hub: Hub, some: Path, tmp_path: Path) -> None:
    hub.faults = [
        Fault("POST /api/datasets/o/n/preupload", "500"),
        Fault("PUT /lfs/upload", "drop"),
        Fault("POST /api/datasets/o/n/commit", "500"),
        Fault("POST /api/datasets/o/n/commit", "drop", after=1),
    ]
    out, err = hub.run(tmp_path, publish(some))
    assert out[-1] == "status 0", err
    assert not any(fault.times for fault in hub.faults)
    assert len(hub.repositories[SET].commits) == 3


@pytest.mark.long
def test_what_keeps_failing_is_one_line_and_no_card(hub: Hub, some: Path, tmp_path: Path) -> None:
    hub.faults = [Fault("POST /api/datasets/o/n/commit", "500", times=3)]
    pull = ["images", "pull", "hf:o/n"]
    out, err = hub.run(tmp_path, publish(some), pull)
    assert out[-1] == "status 2"
    assert [line for line in err if line.startswith("error: ")] == [
        "error: hf:o/n: the Hub failed (status 500); repeat the same command later, what was sent is kept",
        "error: hf:o/n: the repository holds no .parquet file",
    ]
    hub.faults = [Fault("PUT /lfs/upload", "forget")]
    hub.large.clear()
    _, err = hub.run(tmp_path, publish(some))
    assert error_of(err).startswith("error: hf:o/n: ")
    assert "README.md" not in hub.repositories[SET].files
    hub.faults = [Fault("GET /api/datasets/o/n/tree", "damage", after=1)]  # the look after the upload
    _, err = hub.run(tmp_path, publish(some))
    assert "7 files are missing or different after the upload" in error_of(err)
    assert "README.md" not in hub.repositories[SET].files
    out, err = hub.run(tmp_path, publish(some), [*pull, "--out", str(tmp_path / "back")])
    assert [line for line in out if line.startswith("status")] == ["status 0"] * 2, err


@pytest.mark.long
def test_a_killed_publication_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    """With more files than go into one commit, killed while the second waits for its answer."""
    parts = [toy_records(1, f"source {number}", "test", number) for number in range(55)]
    whole = (dataclasses.replace(record, licence="MIT") for part in parts for record in part)
    ImageSet.write(whole, tmp_path / "set")
    command = [sys.executable, "-m", "iarbench", *publish(tmp_path / "set")]
    hub.faults = [Fault("POST /api/datasets/o/n/commit", "hang", after=1)]
    with subprocess.Popen(command, env=hub.environment(tmp_path), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while sum("/commit/" in request for request in hub.requests) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    files = hub.repositories[SET].files
    assert len(files) == 50
    assert "README.md" not in files
    _, err = hub.run(tmp_path, ["images", "pull", "hf:o/n"])
    assert "has no card yet: its publication is not complete" in error_of(err)

    before = len(hub.requests)
    out, _ = hub.run(tmp_path, publish(tmp_path / "set"), ["images", "pull", "hf:o/n", "--out", str(tmp_path / "back")])
    assert "57 files" not in " ".join(out)
    assert any("7 files sent" in line for line in out)  # five shards, the samples, the card
    assert sum(request.startswith("PUT") for request in hub.requests[before:]) <= 6
    assert ImageSet.open(tmp_path / "back").fingerprint == ImageSet.open(tmp_path / "set").fingerprint
    assert not list((tmp_path / "iarbench" / "publish").iterdir())


@pytest.mark.long
def test_another_version_replaces_the_files_and_keeps_those_of_others(hub: Hub, some: Path, tmp_path: Path) -> None:
    hub.run(tmp_path, publish(some))
    repository = hub.repositories[SET]
    repository.commit({**repository.files, "LICENSE": b"mine"})
    fewer = (record for record in images() if record.source != "photos" and record.image_id[-1] == "0")
    ImageSet.write(fewer, tmp_path / "fewer")
    out, err = hub.run(tmp_path, publish(tmp_path / "fewer"))
    assert out[-1] == "status 0", err
    changed, complete = (set(files) for _, files in repository.commits[-2:])
    assert "README.md" not in changed  # never a card that promises other files
    assert complete == changed | {"README.md"}
    assert "LICENSE" in complete
    assert not any(name.startswith("data/photos/") for name in complete)
    assert front_matter(repository.files["README.md"])["iarbench"]["images"] == 4


@pytest.mark.long
def test_who_may_not_write_there_is_told_so(hub: Hub, some: Path, tmp_path: Path) -> None:
    hub.repositories |= {"datasets/o/foreign": Repository(private=True), "datasets/o/public": Repository()}
    hub.repositories["datasets/o/foreign"].commit({"README.md": b"---\ntags:\n- theirs\n---\n# Theirs\n"})
    wanted = {
        "closed/n": "your account or token may not write there",
        "o/foreign": "holds something else (its README.md is not from iarbench); choose another --repo",
        "o/public": "is public already",
    }
    commands = [["publish", str(some), "--repo", name, "--private"] for name in wanted]
    out, err = hub.run(tmp_path, *commands)
    assert [line for line in out if line.startswith("status")] == ["status 2"] * 3
    lines = [line for line in err if line.startswith("error: ")]
    for line, (name, reason) in zip(lines, wanted.items(), strict=True):
        assert line.startswith(f"error: hf:{name}: ")
        assert reason in line
    assert set(hub.repositories["datasets/o/foreign"].files) == {"README.md"}
    (line,) = (one for one in hub.run(tmp_path, publish(some), HF_TOKEN="")[1] if one.startswith("error"))
    assert line.startswith("error: hf:o/n: publishing asks for a login: `hf auth login`, or HF_TOKEN")
    (line,) = (one for one in hub.run(tmp_path, publish(some), HF_TOKEN="hf_wrong")[1] if one.startswith("error"))
    assert line.startswith("error: hf:o/n: the Hub does not know your token")
    assert "hf_wrong" not in line


@pytest.mark.long
def test_images_that_may_not_be_published_are_listed_and_can_be_made_again(hub: Hub, tmp_path: Path) -> None:
    def whole() -> Iterator[ImageRecord]:
        for number, record in enumerate(toy_records(4, "coco", "test", 0)):
            licence = ("CC-BY-ND-2.0", "CC-BY-2.0", "CC-BY-2.0", None)[number]
            yield dataclasses.replace(record, licence=licence, page="https://example.org/1" if number < 2 else None)
        yield from toy_records(2, "var-mini", "test", 1)

    files = tmp_path / "files"
    files.mkdir()
    for record in whole():
        (files / record.path.replace("/", "_")).write_bytes(record.bytes)
    ImageSet.write(whole(), tmp_path / "whole")
    join = ["images", "join", str(tmp_path / "open"), str(tmp_path / "closed"), "--out", str(tmp_path / "again")]
    look = tmp_path / "look"
    out, err = hub.run(
        tmp_path,
        publish(tmp_path / "whole", "--out", str(look)),
        ["images", "pull", "hf:o/n", "--out", str(tmp_path / "open")],
        ["images", "import", str(files), "--lock", str(look / "lists/coco.jsonl"), "--out", str(tmp_path / "closed")],
        join,
    )
    assert [line for line in out if line.startswith("status")] == ["status 0"] * 4, err
    listed = [line for line in out if line.startswith("listed, not published: ")]
    assert [line.removeprefix("listed, not published: ") for line in listed] == [
        "1 images of coco: CC-BY-2.0 asks for credit, and neither author nor page is known",
        "1 images of coco: CC-BY-ND-2.0 forbids to publish changed copies, such as resized ones",
        "1 images of coco: states no licence",
    ]
    assert "lists/coco.jsonl" in hub.repositories[SET].files
    assert ImageSet.open(tmp_path / "open").index()["image_id"].tolist() == [
        "coco/test/00001", "var-mini/test/00000", "var-mini/test/00001"
    ]  # fmt: skip
    again = ImageSet.open(tmp_path / "again")
    assert again.fingerprint == ImageSet.open(tmp_path / "whole").fingerprint
    card = hub.repositories[SET].files["README.md"].decode()
    assert again.fingerprint in card
    assert front_matter(card.encode())["iarbench"]["listed"] == 3
    forbidden = {hashlib.sha256(one.bytes).hexdigest() for one in whole() if one.image_id in ("coco/test/00000",)}
    opened = ImageSet.open(look)
    assert not forbidden & {one.sha256 for batch in opened.iterate() for one in batch}


def test_a_set_that_may_not_be_published_at_all_is_a_list(tmp_path: Path) -> None:
    closed = (dataclasses.replace(record, licence="CC-BY-ND-2.0") for record in toy_records(3, "coco", "test", 0))
    whole = ImageSet.write(closed, tmp_path / "closed")
    how = Sending(RepositoryName("o/n", "dataset", False), True, tmp_path / "look")
    lines = publish_set(str(tmp_path / "closed"), {}, "", how)
    assert lines[0] == "no image may be published"
    assert sorted(path.name for path in (tmp_path / "look").rglob("*") if path.is_file()) == ["README.md", "coco.jsonl"]
    card = (tmp_path / "look" / "README.md").read_bytes()
    about = {"schema_version": SCHEMA_VERSION, "images": 0, "listed": 3, "whole": whole.fingerprint}
    assert front_matter(card)["iarbench"] == about
    assert "configs" not in front_matter(card)
    assert b"load_dataset" not in card
    assert b"images pull" not in card


@pytest.mark.long
def test_what_arrives_damaged_is_fetched_again_or_refused(hub: Hub, some: Path, tmp_path: Path) -> None:
    hub.run(tmp_path, publish(some))
    shard = "/resolve/{}/data/photos/test/part-00000.parquet"
    where = "GET /datasets/o/n" + shard.format(hub.repositories[SET].head)
    hub.faults = [Fault(where, "damage")]
    out, err = hub.run(tmp_path / "a", ["images", "pull", "hf:o/n", "--out", str(tmp_path / "back")])
    assert out[-1] == "status 0", err
    hub.faults = [Fault(where, "damage", times=9)]
    wrong = ["images", "pull", "hf:o/n", "--out", str(tmp_path / "other")]
    _, err = hub.run(tmp_path / "b", wrong)
    assert "part-00000.parquet is damaged, downloaded twice (SHA-256 differs)" in error_of(err)
    hub.faults = []
    _, err = hub.run(tmp_path / "b", [*wrong, "--fingerprint", "0" * 12])
    assert "has the fingerprint" in error_of(err)
    assert "but 000000000000 was asked for" in error_of(err)
    assert not (tmp_path / "other").exists()

    files = dict(hub.repositories[SET].files)
    files["data/photos/test/part-00000.parquet"] = files["data/photos/calibration/part-00000.parquet"]
    hub.repositories[SET].commit(files)  # somebody changed the data and left the card
    _, err = hub.run(tmp_path / "b", wrong)
    assert "its card states" in error_of(err)
    assert not (tmp_path / "other").exists()


def test_mistakes_are_one_line_before_anything_is_written(hub: Hub, some: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wanted = {
        ("--repo", "mine"): "--repo mine: write owner/name",
        ("--licence", "photos"): "--licence photos: write SOURCE=LICENCE",
        ("--licence", "x=MIT"): "--licence x: no such source; sources: my paintings, photos, var-mini",
        ("--notes", str(tmp_path / "none.md")): "--notes",
        ("--out", str(some)): "already exists",
        ("--out", str(tmp_path / "file" / "below")): "cannot be written (Not a directory)",
    }
    commands = [[*publish(some), *words] for words in wanted]
    out, err = hub.run(tmp_path, *commands, ["images", "pull", "o/n"])
    assert out == ["status 2"] * (len(wanted) + 1)
    assert len(err) == len(out)
    for line, expected in zip(err, [*wanted.values(), "o/n: give a set on the Hugging Face Hub as hf:"], strict=True):
        assert line.startswith("error: ")
        assert expected in line
    assert not hub.repositories


@pytest.mark.long
def test_a_full_disk_is_one_line_and_leaves_nothing(hub: Hub, some: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: what is beyond it cannot be written."""
    hub.run(tmp_path / "elsewhere", publish(some))
    hub.requests.clear()
    limited = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)); from iarbench.cli import main; sys.exit(main())"
    )
    pull = ["images", "pull", "hf:o/n", "--out", str(tmp_path / "back")]
    for words, asks_the_hub in ((publish(some), False), (pull, True)):
        command = [sys.executable, "-c", limited, *words]
        done = subprocess.run(command, env=hub.environment(tmp_path), capture_output=True, text=True)
        assert done.returncode == 2
        line = error_of(done.stderr.splitlines())
        assert "File too large" in line
        assert TOKEN not in line
        assert bool(hub.requests) == asks_the_hub
    assert not list((tmp_path / "iarbench" / "publish").iterdir())
    assert not (tmp_path / "back").exists()


@pytest.mark.long
def test_without_a_network_nothing_is_sent_and_one_line_says_so(some: Path, tmp_path: Path) -> None:
    nowhere = Hub("http://127.0.0.1:9")
    _, err = nowhere.run(tmp_path, publish(some))
    assert error_of(err).startswith("error: hf:o/n: the connection broke off; check the network")
    _, err = nowhere.run(tmp_path, publish(some), HF_HUB_OFFLINE="1")
    assert error_of(err) == "error: hf:o/n: HF_HUB_OFFLINE forbids to send anything; unset it"
