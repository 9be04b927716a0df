"""Files are written whole or not at all, leave nothing behind, and say where they could not be written."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from iarbench.errors import UserError
from iarbench.files import remove_leftovers, require_writable, scratch_folder, write_atomically

DEAD = 4194999
"""No process has this number: Linux counts to 4194304 at most."""


def temporary(path: Path, pid: int) -> Path:
    return path.with_name(f".{path.name}.{platform.node().replace('.', '-')}.{pid}.tmp")


def test_a_full_disk_is_told_with_the_path(tmp_path: Path) -> None:
    def full(file: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "weights.safetensors"
    with pytest.raises(OSError, match="No space left on device") as error:
        write_atomically(path, full)
    assert error.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_a_scratch_folder_is_gone_afterwards_and_takes_those_of_the_dead_along(tmp_path: Path) -> None:
    ours, dead, alive = tmp_path / "set", temporary(tmp_path / "set", DEAD), temporary(tmp_path / "set", os.getppid())
    other = temporary(tmp_path / "set2", DEAD)
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "part").touch()
    with scratch_folder(ours) as scratch:
        assert list(scratch.iterdir()) == []
        assert not dead.exists()
        (scratch / "part").touch()
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])


def test_a_scratch_folder_of_a_killed_process_goes_with_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from iarbench.files import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as made: os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "set")], timeout=60)
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder(tmp_path / "set"):
        pass
    assert not list(tmp_path.iterdir())


def test_leftovers_are_files_and_folders_at_any_depth(tmp_path: Path) -> None:
    kept = tmp_path / "a" / ".hidden.tmp"
    kept.parent.mkdir()
    kept.touch()
    temporary(tmp_path / "a" / "file", DEAD).touch()
    temporary(tmp_path / "folder", DEAD).mkdir()
    remove_leftovers(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_where_nothing_can_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_writable(tmp_path / "new" / "deep", "--out")
    require_writable(tmp_path, "--out")
    for place in (tmp_path / "file", tmp_path / "file" / "x", Path("/proc/nothing/x")):
        with pytest.raises(UserError, match=r"^--out .*: cannot be written \(.*\); choose another place$"):
            require_writable(place, "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
