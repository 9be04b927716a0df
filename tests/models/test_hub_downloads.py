"""Weights from a Hub, here a small server on this machine: resumed, verified, cached, and explained when missing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTENT = os.urandom(1_000_000) * 24  # more than two of the chunks that huggingface_hub writes
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LOCATE = """
import sys
from iarbench.models import variants
from iarbench.errors import UserError
from iarbench.models.weights import locate
try:
    print(locate(variants.get("var-d16"), "tokenizer"))
except UserError as error:
    sys.exit(f"error: {error}")
"""


class Hub(BaseHTTPRequestHandler):
    """One large file, as the Hub serves it; every download from the start breaks off."""

    ranges: list[str | None]

    def do_HEAD(self) -> None:
        self._head(200, len(CONTENT))

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-").split("-")[0]) if wanted else 0
        self._head(206 if wanted else 200, len(CONTENT) - start)
        end = len(CONTENT) if wanted else len(CONTENT) * 2 // 3
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(CONTENT[start:end])

    def _head(self, status: int, length: int) -> None:
        if not self.path.endswith("/FoundationVision/var/resolve/main/vae_ch160v4096z32.pth"):
            self.send_error(404)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{DIGEST}"')
        self.send_header("X-Linked-Etag", f'"{DIGEST}"')
        self.send_header("X-Linked-Size", str(len(CONTENT)))
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.ranges = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def find(home: Path, endpoint: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", **more}
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        environment.pop(name, None)
    command = [sys.executable, "-c", LOCATE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_a_broken_download_is_resumed_verified_and_cached(hub: str, tmp_path: Path) -> None:
    first = find(tmp_path, hub)
    assert first.returncode == 0, first.stderr
    path = Path(first.stdout.strip())
    assert path.read_bytes() == CONTENT
    assert Hub.ranges[0] is None
    assert any(wanted and not wanted.startswith("bytes=0-") for wanted in Hub.ranges[1:])  # went on where it stopped

    offline = find(tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert offline.stdout == first.stdout

    path.resolve().write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    damaged = find(tmp_path, hub)
    assert damaged.returncode == 1
    assert "is damaged (SHA-256 differs): delete it and try again" in damaged.stderr


def test_offline_without_a_copy_says_what_is_missing(tmp_path: Path) -> None:
    missing = find(tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert missing.returncode == 1
    (line,) = missing.stderr.strip().splitlines()
    assert line.startswith("error: var-d16 needs vae_ch160v4096z32.pth (0.4 GB), which cannot be fetched from")
    assert line.endswith("a local copy can be given by --weights DIR")
