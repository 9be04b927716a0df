"""The only door from the Hugging Face Hub: whatever is fetched comes through here, and every refusal is one line.

What goes there: `iarbench.hub_upload`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iarbench.errors import UserError

_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of this machine's disk, not of the Hub."""


class HubError(UserError):
    """The Hub did not give what was asked for; `reason` is the part of the line that says why and what to do."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Rows:
    """A data set that is read row by row from the Hub."""

    features: dict[str, Any]
    """Column name -> what it holds, as in the metadata of Hugging Face Parquet files: {"_type": "Image"}."""
    rows: Iterator[dict[str, Any]]
    """Rows by column name; images as {"bytes", "path"}, as they were stored."""


def fetch_file(repo: str, file: str, revision: str | None = None) -> Path:
    """The local path of one file of a model repository, downloaded if the cache lacks it, resumed if it broke off.

    Raises:
        HubError: no such repository, revision or file, no access, no network.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except Exception as error:  # the network, the Hub and the name may each fail in many ways
        raise HubError(f"{repo}/{file}", reason_of(error, repo, revision, repo)) from None


def cached_file(repo: str, file: str, revision: str | None = None) -> Path | None:
    """The local path of one file of a model repository if it was downloaded before, None if not; asks nobody."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def fetch_folder(repo: str, patterns: Sequence[str], revision: str | None = None) -> Path:
    """The local folder with the files of a model repository whose names match one of `patterns`.

    Raises:
        HubError: no such repository or revision, no access, no network.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:
        raise HubError(repo, reason_of(error, repo, revision, repo)) from None


def split_name(name: str) -> tuple[str, str | None]:
    """Repository and revision of "hf:owner/name@revision"; without a revision it is None, the newest."""
    repo, _, revision = name.removeprefix("hf:").partition("@")
    return repo, revision or None


def require_repository_name(name: str, option: str, example: str) -> None:
    """Raise UserError when what an option says cannot be the name of a repository; the Hub is not asked."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
        raise UserError(f"{option} {name}: write owner/name, such as {example}")


def fetch_parquet(repo: str, revision: str | None = None, *, again: bool = False) -> Path:
    """The local folder with all Parquet files of a data set repository and its card, called like its commit.

    `again`: also what the cache holds already is downloaded.

    Raises:
        HubError: no such repository or revision, no access, no network, no Parquet file.
    """
    from huggingface_hub import snapshot_download

    name = f"hf:{repo}" + (f"@{revision}" if revision else "")
    wanted = ["*.parquet", "README.md"]
    try:
        found = snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=wanted, force_download=again
        )
        folder = Path(found)
    except Exception as error:
        raise HubError(name, reason_of(error, repo, revision, f"datasets/{repo}")) from None
    if not any(folder.rglob("*.parquet")):
        raise HubError(name, "the repository holds no .parquet file")
    return folder


def stored_digest(path: Path) -> str | None:
    """The SHA-256 that the Hub gives for a large file: the cache names what it downloads by it. None for others."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def front_matter(card: Path) -> dict[str, Any]:
    """The YAML at the head of a README.md, empty where there is none. Raises UserError when it cannot be read."""
    from huggingface_hub import RepoCard

    try:
        return dict(RepoCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict())
    except (ValueError, OSError) as error:
        raise UserError(f"{card}: its front matter cannot be read ({' '.join(str(error).split())[:160]})") from None


def read_rows(repo: str, config: str | None, split: str, revision: str | None) -> Rows:
    """The rows of a data set repository, streamed in their order.

    Raises:
        HubError: no such repository, configuration, split or revision, no access, no network; also while rows are read.
    """
    import datasets

    def explained(error: Exception) -> HubError:
        return HubError(f"{repo} (split {split})", reason_of(error, repo, revision, f"datasets/{repo}"))

    try:
        stream = datasets.load_dataset(repo, config, split=split, revision=revision, streaming=True)
        features = stream.features
        if features is None:  # some formats tell only with their first row
            stream = stream._resolve_features()
            features = stream.features or {}
        for name, feature in features.items():
            if isinstance(feature, datasets.Image):  # decoded images would come without their original bytes
                stream = stream.cast_column(name, datasets.Image(decode=False))
    except Exception as error:
        raise explained(error) from error

    def rows() -> Iterator[dict[str, Any]]:
        try:
            yield from stream
        except Exception as error:
            raise explained(error) from error

    return Rows(datasets.Features(features).to_dict(), rows())


def dataset_card(front_matter: dict[str, Any], template: str, **parts: Any) -> str:
    """The text of a data set's README.md: a template of `data_cards/`, filled, below its front matter."""
    from huggingface_hub import DatasetCard, DatasetCardData

    return _filled(DatasetCard, DatasetCardData(**front_matter), template, parts)


def model_card(front_matter: dict[str, Any], template: str, **parts: Any) -> str:
    """The text of a model's README.md, likewise."""
    from huggingface_hub import ModelCard, ModelCardData

    return _filled(ModelCard, ModelCardData(**front_matter), template, parts)


def eval_results(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the Hub wants in a file below `.eval_results/`; keys as of its EvalResultEntry."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    return list(eval_result_entries_to_yaml([EvalResultEntry(**entry) for entry in entries]))


def _filled(kind: Any, data: Any, template: str, parts: dict[str, Any]) -> str:
    import iarbench.data_cards

    (folder,) = iarbench.data_cards.__path__
    text = Path(folder, template).read_text(encoding="utf-8")
    return str(kind.from_template(data, template_str=text, **parts)).rstrip() + "\n"


def reason_of(error: BaseException, repo: str, revision: str | None, page: str) -> str:
    """Why the Hub or this machine refuses, and what to do."""
    from huggingface_hub import constants, errors

    at = f"https://huggingface.co/{page}"
    for cause in _causes(error):
        match cause:
            case errors.GatedRepoError():
                return f"is gated: accept its terms at {at} and log in with `hf auth login`"
            case errors.RepositoryNotFoundError():
                return (
                    "there is no such repository on the Hugging Face Hub, or it is private: log in with `hf auth login`"
                )
            case errors.RevisionNotFoundError():
                return f"has no revision {revision!r}; the branches, tags and commits are listed at {at}"
            case errors.HFValidationError():
                return f"{repo!r} is not the name of a repository; write owner/name"
            case errors.OfflineModeIsEnabled() | errors.LocalEntryNotFoundError() if constants.HF_HUB_OFFLINE:
                return "is not in the local cache, and HF_HUB_OFFLINE forbids to fetch it"
            case errors.LocalEntryNotFoundError():
                return "the Hugging Face Hub cannot be reached, and the local cache lacks it; check the network"
            case errors.EntryNotFoundError():
                return f"the repository has no such file; its files are listed at {at}"
            case OSError(errno=number) if number in _STORAGE:
                place = cause.filename or constants.HF_HUB_CACHE
                return f"cannot be stored: {place}: {cause.strerror}; HF_HOME names another place for the cache"
    text = " ".join(str(error).split())
    lowered = text.lower()
    if "gated" in lowered:
        return f"is gated: accept its terms at {at} and log in with `hf auth login`"
    if "doesn't exist on the hub" in lowered:
        return "there is no such repository on the Hugging Face Hub, or it is private: log in with `hf auth login`"
    if "config name is missing" in lowered or "builderconfig" in lowered:
        return f"choose one of its configurations with --config ({_short(text)})"
    if "bad split" in lowered or "unknown split" in lowered:
        return f"choose one of its splits with --hub-split ({_short(text)})"
    return (
        f"cannot be fetched from the Hugging Face Hub ({type(error).__name__}: {_short(text)}); "
        "check the network, the name and, if it is gated, your login"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."
