"""The only door to the Hugging Face Hub: whatever is fetched comes through here, and every refusal is one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iarbench.errors import UserError


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
        raise HubError(f"{repo}/{file}", _reason(error, repo, revision, repo)) from None


def fetch_folder(repo: str, patterns: Sequence[str], revision: str | None = None) -> Path:
    """The local folder with the files of a model repository whose names match one of `patterns`.

    Raises:
        HubError: no such repository or revision, no access, no network.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:
        raise HubError(repo, _reason(error, repo, revision, repo)) from None


def fetch_parquet(repo: str, revision: str | None = None) -> Path:
    """The local folder with all Parquet files of a data set repository.

    Raises:
        HubError: no such repository or revision, no access, no network, no Parquet file.
    """
    from huggingface_hub import snapshot_download

    name = f"hf:{repo}" + (f"@{revision}" if revision else "")
    try:
        folder = Path(snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns="*.parquet"))
    except Exception as error:
        raise HubError(name, _reason(error, repo, revision, f"datasets/{repo}")) from None
    if not any(folder.rglob("*.parquet")):
        raise HubError(name, "the repository holds no .parquet file")
    return folder


def read_rows(repo: str, config: str | None, split: str, revision: str | None) -> Rows:
    """The rows of a data set repository, streamed in their order.

    Raises:
        HubError: no such repository, configuration, split or revision, no access, no network; also while rows are read.
    """
    import datasets

    def explained(error: Exception) -> HubError:
        return HubError(f"{repo} (split {split})", _reason(error, repo, revision, f"datasets/{repo}"))

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


def _reason(error: BaseException, repo: str, revision: str | None, page: str) -> str:
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
