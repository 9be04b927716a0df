"""A Hugging Face Hub on this machine: repositories in memory, the protocol of the real client, failures on request.

It speaks what huggingface_hub 2.4 and datasets 5.2 ask for without Xet: repositories, uploads (git-lfs), commits, file
trees and downloads. `Fault`s make it answer 500, drop the connection, or damage or forget what goes through it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_loopback_secret"
LARGE = (".parquet", ".safetensors", ".webp", ".png")
"""Files that the server wants by git-lfs."""
RUN = """
import json, sys
from iarbench.cli import main
for words in json.loads(sys.argv[1]):
    print("status", main(words), flush=True)
"""
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "HF_TOKEN")


@dataclass
class Fault:
    """What goes wrong with the next requests whose "METHOD path" holds `where`."""

    where: str
    kind: Literal["500", "drop", "damage", "forget", "hang"]
    """drop: no answer; damage: a download's last byte flipped, or digests of other files; forget: an upload is accepted
    and lost; hang: no answer until the client has gone."""
    times: int = 1
    after: int = 0
    """how many such requests go well before"""


@dataclass
class Repository:
    """Its files after every commit, the first one empty."""

    private: bool = False
    gated: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=lambda: [("0" * 40, {})])
    large: set[str] = field(default_factory=set)

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][1]

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)

    def commit(self, files: Mapping[str, bytes]) -> str:
        text = json.dumps([self.head, {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}])
        self.commits.append((hashlib.sha1(text.encode()).hexdigest(), dict(files)))
        return self.head


@dataclass
class Hub:
    """The state of the server; `repositories` by "datasets/owner/name" or "models/owner/name"."""

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    """content by SHA-256"""
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """"METHOD path", in their order"""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, request: str) -> str | None:
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.where in request and fault.times > 0:
                    if fault.after > 0:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    return fault.kind
        return None

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """For a process whose Hub this is; `home` keeps its cache."""
        kept = {name: value for name, value in os.environ.items() if name not in PROXIES}
        own = {"HF_HOME": str(home), "HF_ENDPOINT": self.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
        own |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
        return {**kept, **own, "IARBENCH_CACHE": str(home / "iarbench"), **more}

    def run(self, home: Path, *commands: list[str], **more: str) -> tuple[list[str], list[str]]:
        """The lines that iarbench commands print: standard output, where each ends with its status, and errors."""
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps([[str(word) for word in words] for words in commands])],
            env=self.environment(home, **more),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout.splitlines(), done.stderr.splitlines()


@contextmanager
def loopback_hub() -> Iterator[Hub]:
    """A server in a thread of its own, until the block ends."""
    hub = Hub()
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class RefusedError(Exception):
    """An answer with this status and the Hub's name for it."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message or code


class Handler(BaseHTTPRequestHandler):
    """One request; "/datasets/o/n/..." and "/api/datasets/o/n/..." are data sets, without "datasets" it is a model."""

    hub: Hub
    spoilt: str | None

    def do_HEAD(self) -> None:
        self._serve(self._get)

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_POST(self) -> None:
        self._serve(self._post)

    def do_PUT(self) -> None:
        self._serve(self._put)

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _serve(self, answer: Any) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.path_only = unquote(urlsplit(self.path).path)
        self.spoilt = self.hub.fault(f"{self.command} {self.path_only}")
        if self.spoilt in ("drop", "hang"):
            if self.spoilt == "hang":
                self.connection.recv(1)  # returns when the client is gone
            self.close_connection = True
            self.connection.close()
            return
        try:
            if self.spoilt == "500":
                raise RefusedError(500, "Internal", "Internal Server Error")
            answer()
        except RefusedError as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            self._send(refused.status, json.dumps({"error": refused.message}).encode(), headers)
        except (BrokenPipeError, ConnectionResetError):
            pass

    # -- what is asked for ---------------------------------------------------------------------------------------

    def _get(self) -> None:
        if self.path_only == "/api/whoami-v2":
            return self._json({"name": "o", "type": "user", "orgs": [], "auth": {"type": "access_token"}})
        name, repository, rest = self._repository()
        match rest:
            case ["resolve", revision, *file]:
                return self._file(repository, *self._commit(repository, revision), "/".join(file))
            case ["tree", revision, *folder]:
                _, files = self._commit(repository, revision)
                return self._json(self._tree(repository, files, "/".join(folder)))
            case [] | ["revision", _]:
                commit, files = self._commit(repository, rest[1] if rest else "main")
                siblings = [{"rfilename": file} for file in files]
                about = {"id": name.partition("/")[2], "sha": commit, "siblings": siblings, "tags": []}
                return self._json({**about, "private": repository.private, "downloads": 0, "likes": 0})
        raise RefusedError(404, "EntryNotFound")

    def _post(self) -> None:
        if self.path_only == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.path_only == "/lfs/verify":
            wanted = json.loads(self.body)
            if len(self.hub.large.get(wanted["oid"], b"")) != wanted["size"]:
                raise RefusedError(404, "", "object not found")
            return self._json({})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, "", "Invalid username or password.")
        if self.path_only == "/api/repos/create":
            return self._create()
        name, repository, rest = self._repository()
        match rest:
            case ["preupload", _]:
                return self._json({"files": [self._how(repository, file) for file in json.loads(self.body)["files"]]})
            case ["info", "lfs", "objects", "batch"]:
                return self._batch()
            case ["commit", _]:
                return self._receive(repository, name)
        raise RefusedError(404, "EntryNotFound")

    def _put(self) -> None:
        oid = self.path_only.rpartition("/")[2]
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise RefusedError(400, "", "SHA-256 differs")
        if self.spoilt != "forget":
            self.hub.large[oid] = self.body
        self._send(200, b"", {})

    # -- uploads -------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        wanted = json.loads(self.body)
        owner = wanted.get("organization") or "o"
        if owner == "closed":
            raise RefusedError(403, "", "You don't have the rights to create a repository under the namespace")
        name = f"{wanted.get('type', 'model')}s/{owner}/{wanted['name']}"
        known = name in self.hub.repositories
        if not known:
            private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
            self.hub.repositories[name] = Repository(private)
        url = f"{self.hub.endpoint}/{name.removeprefix('models/')}"
        body = {"url": url, "name": name.partition("/")[2], "id": name}
        self._json(body | ({"error": "You already created this repo"} if known else {}), 409 if known else 200)

    def _how(self, repository: Repository, file: dict[str, Any]) -> dict[str, Any]:
        path = file["path"]
        large = path.endswith(LARGE)
        known = repository.files.get(path)
        oid = {} if known is None else {"oid": hashlib.sha256(known).hexdigest() if large else git_oid(known)}
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **oid}

    def _batch(self) -> None:
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            found = {"oid": wanted["oid"], "size": wanted["size"], "authenticated": True}
            if wanted["oid"] not in self.hub.large:
                upload = {"href": f"{self.hub.endpoint}/lfs/upload/{wanted['oid']}"}
                found["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.endpoint}/lfs/verify"}}
            objects.append(found)
        self._json({"transfer": "basic", "objects": objects}, kind="application/vnd.git-lfs+json")

    def _receive(self, repository: Repository, name: str) -> None:
        files = dict(repository.files)
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            match entry["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    if value["oid"] not in self.hub.large:
                        raise RefusedError(
                            400, "", f"LFS pointer to an object that was never uploaded: {value['path']}"
                        )
                    files[value["path"]] = self.hub.large[value["oid"]]
                    repository.large.add(value["path"])
                case "deletedFile":
                    if files.pop(value["path"], None) is None:
                        raise RefusedError(404, "EntryNotFound", "A file with this name doesn't exist")
                case "deletedFolder":
                    files = {name: data for name, data in files.items() if not name.startswith(value["path"])}
        oid = repository.commit(files)
        url = f"{self.hub.endpoint}/{name.removeprefix('models/')}/commit/{oid}"
        self._json({"success": True, "commitOid": oid, "commitUrl": url})

    # -- downloads -----------------------------------------------------------------------------------------------

    def _repository(self) -> tuple[str, Repository, list[str]]:
        parts = self.path_only.strip("/").removeprefix("api/").replace(".git/", "/").split("/")
        if parts[0] not in ("datasets", "models", "spaces"):
            parts = ["models", *parts]
        name = "/".join(parts[:3])
        repository = self.hub.repositories.get(name)
        signed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not signed):
            raise RefusedError(404 if signed else 401, "RepoNotFound", "Repository not found")
        if repository.gated:
            raise RefusedError(403, "GatedRepo")
        return name, repository, parts[3:]

    def _commit(self, repository: Repository, revision: str) -> tuple[str, dict[str, bytes]]:
        found = repository.at(revision)
        if found is None:
            raise RefusedError(404, "RevisionNotFound")
        return found

    def _tree(self, repository: Repository, files: dict[str, bytes], folder: str) -> list[dict[str, Any]]:
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        found: dict[str, dict[str, Any]] = {}
        for name, content in files.items():
            if folder and not name.startswith(folder + "/"):
                continue
            below = name.removeprefix(folder + "/") if folder else name
            if "/" in below and not recursive:
                top = f"{folder}/{below.split('/')[0]}".lstrip("/")
                found[top] = {"type": "directory", "path": top, "oid": "d" * 40, "size": 0}
                continue
            entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": git_oid(content)}
            if name in repository.large:
                digest = hashlib.sha256(content + b"!" * (self.spoilt == "damage")).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            found[name] = entry
        if folder and not found:
            raise RefusedError(404, "EntryNotFound")
        return list(found.values())

    def _file(self, repository: Repository, commit: str, files: dict[str, bytes], name: str) -> None:
        if name not in files:
            raise RefusedError(404, "EntryNotFound")
        content, wanted = files[name], self.headers.get("Range")
        large = name in repository.large
        etag = hashlib.sha256(content).hexdigest() if large else git_oid(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        if self.spoilt == "damage":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1 if last else None]
        self._send(206 if wanted else 200, content, headers)

    # -- answers -------------------------------------------------------------------------------------------------

    def _json(self, value: Any, status: int = 200, kind: str = "application/json") -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": kind})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def git_oid(content: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
