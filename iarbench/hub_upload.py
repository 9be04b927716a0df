"""The only door to the Hugging Face Hub for what is published: in groups of files, resumable, the card last.

A repository without a card is one whose publication is not complete. So a card is taken away before the first of its
files changes, and the new one comes when all files are there and their digests agree.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from iarbench.files import sha256_file
from iarbench.hub import HubError, reason_of
from iarbench.progress import Progress

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
TAG = "iarbench"
"""Tag of every card that is published from here, by which such a repository is known."""
_GROUP_FILES, _GROUP_BYTES = 50, 2**30
"""What goes into one commit at most: so much is sent again at worst after a commit that fails."""
_PAUSES = (1.0, 4.0)
"""Seconds before a commit is tried again; the client itself repeats all other requests, but not these."""

Kind = Literal["dataset", "model", "space"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repository:
    """Where to publish."""

    name: str
    """owner/name"""
    kind: Kind
    private: bool
    """How it is made; one that is there already is never made public or private."""

    @property
    def page(self) -> str:
        """Its address below that of the Hub."""
        return self.name if self.kind == "model" else f"{self.kind}s/{self.name}"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What is on the Hub now."""

    url: str
    commit: str
    """40 hexadecimal digits, for "hf:owner/name@commit"."""
    sent: int
    """How many files were not there yet, the card included."""


def upload(to: Repository, folder: Path, owned: Sequence[str]) -> Uploaded:
    """Make a repository hold the files of `folder`, its card README.md last; the same again sends only what is missing.

    Args:
        to: the repository; it is made if there is none.
        folder: files of any depth, README.md among them.
        owned: folders of the repository ("data/") whose other files are deleted; the rest of it stays.

    Raises:
        HubError: no login, no right to write, a repository that holds something else or is public although it was to be
            private, no network, the Hub fails, or what it holds in the end are other bytes.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # "no files have been modified" is no warning here
    what = f"hf:{to.name}"
    if get_token() is None:
        raise HubError(what, "publishing asks for a login: `hf auth login`, or HF_TOKEN with a token that may write")
    api = HfApi(library_name="iarbench")
    try:
        _prepare(api, to)
        sent = _send_all(api, to, folder, owned)
        commit = api.repo_info(to.name, repo_type=to.kind).sha
    except HubError:
        raise
    except Exception as error:  # the network, the Hub and the login may each fail in many ways
        raise HubError(what, _write_reason(error, to)) from error
    return Uploaded(f"{constants.ENDPOINT}/{to.page}", str(commit), sent)


def _prepare(api: HfApi, to: Repository) -> None:
    """Make the repository, or see that the one that is there may be written to."""
    from huggingface_hub import RepoCard

    sdk = "static" if to.kind == "space" else None
    api.create_repo(to.name, repo_type=to.kind, private=to.private or None, exist_ok=True, space_sdk=sdk)
    if to.private and not api.repo_info(to.name, repo_type=to.kind).private:
        raise HubError(f"hf:{to.name}", "is public already; choose another --repo, or make it private on its page")
    if api.file_exists(to.name, CARD, repo_type=to.kind):
        tags = RepoCard.load(to.name, repo_type=to.kind, ignore_metadata_errors=True).data.to_dict().get("tags")
        if TAG not in (tags or ()):
            reason = f"holds something else (its {CARD} is not from iarbench); choose another --repo"
            raise HubError(f"hf:{to.name}", reason)


def _send_all(api: HfApi, to: Repository, folder: Path, owned: Sequence[str]) -> int:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    local = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    card = local.pop(CARD)
    there = _digests(api, to)
    missing = [name for name, path in local.items() if not _is_there(there, name, path)]
    gone = [name for name in there if name.startswith(tuple(owned)) and name not in local]
    operations: list[Any] = [CommitOperationDelete(path_in_repo=name) for name in gone]
    if (missing or gone) and CARD in there:
        operations.append(CommitOperationDelete(path_in_repo=CARD))

    def commit(message: str, paths: dict[str, Path], more: Sequence[Any] = ()) -> None:
        # made anew for every try: an operation remembers what became of it
        _again(
            lambda: api.create_commit(
                to.name,
                [*more, *(CommitOperationAdd(name, path) for name, path in paths.items())],
                commit_message=message,
                repo_type=to.kind,
            )
        )

    groups = list(_groups(missing, local)) or ([[]] if operations else [])
    done = len(local) - len(missing)
    with Progress(f"publish {to.name}", len(local), done, "files", "stderr" if groups else None) as progress:
        for number, group in enumerate(groups, 1):
            title = f"{'Update' if operations else 'Add'} files ({number} of {len(groups)})"
            commit(title, {name: local[name] for name in group}, operations)
            operations = []
            progress.advance(len(group))
    there = _digests(api, to)
    if wrong := [name for name, path in local.items() if not _is_there(there, name, path)]:
        reason = f"{len(wrong)} files are missing or different after the upload (the first: {wrong[0]})"
        raise HubError(f"hf:{to.name}", f"{reason}; repeat the same command")
    new_card = not _is_there(there, CARD, card)
    if new_card:
        commit("Write the card", {CARD: card})
    return len(missing) + new_card


def _groups(names: Sequence[str], local: dict[str, Path]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for name in names:
        group.append(name)
        size += local[name].stat().st_size
        if len(group) == _GROUP_FILES or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _digests(api: HfApi, to: Repository) -> dict[str, tuple[str, str]]:
    """Path -> ("sha256" or "git", digest) of every file of the repository."""
    from huggingface_hub import RepoFile

    entries = api.list_repo_tree(to.name, recursive=True, repo_type=to.kind)
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    return {file.path: ("sha256", file.lfs.sha256) if file.lfs else ("git", file.blob_id) for file in files}


def _is_there(there: dict[str, tuple[str, str]], name: str, path: Path) -> bool:
    if name not in there:
        return False
    kind, digest = there[name]
    return digest == (sha256_file(path) if kind == "sha256" else _git_digest(path))


def _git_digest(path: Path) -> str:
    """The name that git gives to a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _again(send: Callable[[], T]) -> T:
    """Do it, and twice again after a pause when the Hub or the network fails."""
    from huggingface_hub import errors

    for pause in _PAUSES:
        try:
            return send()
        except errors.HfHubHTTPError as error:
            if error.response is not None and error.response.status_code < 500:
                raise
        except (errors.HTTPError, ConnectionError):
            pass
        time.sleep(pause)
    return send()


def _write_reason(error: Exception, to: Repository) -> str:
    from huggingface_hub import errors

    answer = error.response if isinstance(error, errors.HfHubHTTPError) else None
    status = None if answer is None else answer.status_code
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids to send anything; unset it"
    if status == 401:
        return "the Hub does not know your token: log in with `hf auth login`, or give HF_TOKEN a token that may write"
    if status == 403:
        return "your account or token may not write there; check the owner, and that the token may write"
    if status is not None and status >= 500:
        return f"the Hub failed (status {status}); repeat the same command later, what was sent is kept"
    if isinstance(error, ValueError) and "metadata" in str(error).lower():
        return f"the Hub refuses the card ({' '.join(str(error).split())[:300]})"
    if isinstance(error, errors.HTTPError | ConnectionError) and status is None:
        return "the connection broke off; check the network and repeat the same command, what was sent is kept"
    return reason_of(error, to.name, None, to.page)
