"""The door to the Hugging Face Hub, against a small server on this machine that answers as the Hub does."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import iarbench
from iarbench.images.image_set import ImageSet
from iarbench.testing import toy_records

COMMIT = "c" * 40
RUN = """
import json, sys
from iarbench.cli import main
for words in json.loads(sys.argv[1]):
    print("status", main(words), flush=True)
"""
REFUSALS = {
    "o/gated": (403, "GatedRepo"),
    "o/absent": (404, "RepoNotFound"),
    "o/private": (401, "RepoNotFound"),
}


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """The data set repository o/n, with files in subfolders; what it lacks is refused as the Hub does."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._refuse(404, "EntryNotFound")

    def _answer(self, body: bool) -> None:
        path = urlsplit(self.path).path.removeprefix("/api").removeprefix("/datasets/")
        repo, rest = "/".join(path.split("/")[:2]), path.split("/")[2:]
        if repo != "o/n":
            return self._refuse(*REFUSALS.get(repo, (404, "RepoNotFound")))
        if len(rest) > 1 and rest[1] not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        match rest:
            case ["resolve", _, *name]:
                return self._file("/".join(name), body)
            case ["tree", _, *folder]:
                return self._json(self._tree("/".join(folder)))
            case ["revision", _] | []:
                siblings = [{"rfilename": name} for name in self.files]
                return self._json({"id": "o/n", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})
        self._refuse(404, "EntryNotFound")

    def _tree(self, folder: str) -> list[dict[str, object]]:
        everything = "recursive" in parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        everything = everything and "recursive=false" not in self.path.lower()
        found: dict[str, dict[str, object]] = {}
        for name, content in self.files.items():
            if folder and not name.startswith(folder + "/"):
                continue
            below = name.removeprefix(folder + "/") if folder else name
            if "/" in below and not everything:
                top = f"{folder}/{below.split('/')[0]}".lstrip("/")
                found[top] = {"type": "directory", "path": top, "oid": "d" * 40, "size": 0}
            else:
                found[name] = {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
        return list(found.values())

    def _file(self, name: str, body: bool) -> None:
        if name not in self.files:
            return self._refuse(404, "EntryNotFound")
        content, wanted = self.files[name], self.headers.get("Range")
        oid = _oid(content)
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1 if last else None]
        self._start(206 if wanted else 200, len(content), ETag=f'"{oid}"', **{"X-Repo-Commit": COMMIT})
        if body:
            self.wfile.write(content)

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self._start(200, len(content), **{"Content-Type": "application/json"})
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self._start(status, 0, **{"X-Error-Code": code, "X-Error-Message": code})

    def _start(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), "Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("repository")
    ImageSet.write(toy_records(2, "a", "test", 0), folder / "data" / "one")
    ImageSet.write(toy_records(2, "b", "calibration", 1), folder / "data" / "two")
    Hub.files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.parquet"))}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def run(home: Path, endpoint: str, *commands: list[str], **more: str) -> tuple[list[str], list[str]]:
    """The lines that some commands print on standard output, each ended by its status, and on standard error."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", **more}
    environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "HF_TOKEN"):
        environment.pop(name, None)
    command = [sys.executable, "-c", RUN, json.dumps(commands)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_a_repository_is_an_image_set_with_all_its_folders(hub: str, tmp_path: Path) -> None:
    out, _ = run(tmp_path, hub, ["images", "info", "hf:o/n"])
    assert out[0].startswith("hf:o/n: 4 images")
    assert out[1:] == [
        "  a/test: 2 images, 16x16, PNG", "  b/calibration: 2 images, 16x16, PNG", "status 0"
    ]  # fmt: skip
    again, _ = run(tmp_path, "http://127.0.0.1:9", ["images", "info", f"hf:o/n@{COMMIT}"], HF_HUB_OFFLINE="1")
    assert again[1:] == out[1:]


def test_a_repository_is_imported_and_stays_an_image_set(hub: str, tmp_path: Path) -> None:
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


def test_refusals_are_one_line_that_says_what_to_do(hub: str, tmp_path: Path) -> None:
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
    _, err = run(tmp_path, "http://127.0.0.1:9", ["images", "info", "hf:o/n"])
    assert err == [
        "error: hf:o/n: the Hugging Face Hub cannot be reached, and the local cache lacks it; check the network"
    ]
    _, err = run(tmp_path, "http://127.0.0.1:9", ["images", "info", "hf:o/n"], HF_HUB_OFFLINE="1")
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
    assert doors == {"iarbench/hub.py"}
