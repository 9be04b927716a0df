"""Finding, fetching and identifying weight files, without torch."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import sha256_file
from iarbench.hub import HubError, cached_file, fetch_file, stored_digest
from iarbench.models.variants import ORIGINAL, Variant, WeightFile, encoder_names


def locate(variant: Variant, part: str, weights_dir: Path | None = None) -> Path:
    """The local path of one part of a variant: "tokenizer", "transformer" or the name of an encoder.

    Looks in ``weights_dir`` (for the released file name, or for what ``iarbench finetune`` writes), then beside the
    YAML, then in the Hugging Face cache, and downloads last (resumed and verified by huggingface_hub;
    HF_HUB_OFFLINE=1 forbids it). Raises UserError in one line when that fails.
    """
    if own := _given(variant, part, weights_dir):
        return own
    if part not in variant.files:
        raise UserError(f"{variant.name} has no {part} weights; it has: {', '.join(sorted(variant.files))}")
    file = variant.files[part]
    if file.path is not None:
        return _beside(variant, file)
    if file.repo is None:
        raise UserError(_how(variant, file, f"is on no hub: download it from {file.url}"))
    return _from_hub(variant, file)


def find(variant: Variant, part: str, weights_dir: Path | None = None) -> Path | None:
    """Where `locate` would find this part without a download; None where it would need one or fail."""
    file = variant.files.get(part)
    if (own := _given(variant, part, weights_dir)) or file is None:
        return own
    if file.path is not None:
        return variant.folder / file.path if (variant.folder / file.path).is_file() else None
    if file.repo is None or file.file is None:
        return None
    return cached_file(file.repo, file.file, file.revision)


def _given(variant: Variant, part: str, weights_dir: Path | None) -> Path | None:
    """The part in ``weights_dir``, under the name that `iarbench finetune` gives or under the released one."""
    if weights_dir is None:
        return None
    names = [f"{variant.stem}-{part}.safetensors"] + ([variant.files[part].name] if part in variant.files else [])
    return next((weights_dir / name for name in names if (weights_dir / name).is_file()), None)


def encoders(variant: Variant, weights_dir: Path | None = None) -> tuple[str, ...]:
    """The encoders a variant can be scored with: those in its description, and fine-tuned ones in ``weights_dir``."""
    return tuple(
        name
        for name in encoder_names()
        if name == ORIGINAL
        or name in variant.files
        or (weights_dir is not None and (weights_dir / f"{variant.stem}-{name}.safetensors").is_file())
    )


def weights_hash(variant: Variant, encoder: str, weights_dir: Path | None = None, *, transformer: bool = False) -> str:
    """SHA-256 identity of the weights that a score depends on: the tokenizer's file, that of a fine-tuned encoder and,
    for scores that read it, that of the ``transformer``.
    """
    parts = ["tokenizer"] if encoder == ORIGINAL else ["tokenizer", encoder]
    parts += ["transformer"] if transformer else []
    digests = [_digest(variant, part, weights_dir) for part in parts]
    return hashlib.sha256("\n".join([encoder, *digests]).encode()).hexdigest()


def _digest(variant: Variant, part: str, weights_dir: Path | None) -> str:
    # The file's own bytes count, not the digest its YAML claims: weights may lie in --weights DIR.
    path = locate(variant, part, weights_dir)
    return _remembered(path, path.stat().st_mtime_ns)


@cache
def _remembered(path: Path, changed: int) -> str:
    """The file's hash, computed once as long as the file does not change."""
    return sha256_file(path)


def _beside(variant: Variant, file: WeightFile) -> Path:
    path = variant.folder / str(file.path)
    if not path.is_file():
        raise UserError(f"{variant.name}: {path} is missing; reinstall iarbench or point --weights to its folder")
    if file.sha256 is not None and _remembered(path, path.stat().st_mtime_ns) != file.sha256:
        raise UserError(f"{variant.name}: {path} is not the file its description names (SHA-256 differs); reinstall it")
    return path


def _from_hub(variant: Variant, file: WeightFile) -> Path:
    assert file.repo is not None
    assert file.file is not None
    try:
        path = fetch_file(file.repo, file.file, file.revision)
    except HubError as error:
        raise UserError(
            _how(variant, file, f"cannot be fetched from {file.repo} on the Hub ({error.reason})")
        ) from None
    expected = file.sha256 or stored_digest(path)
    if expected is not None and _remembered(path, path.stat().st_mtime_ns) != expected:
        raise UserError(_how(variant, file, f"in {path.parent} is damaged (SHA-256 differs): delete it and try again"))
    return path


def _how(variant: Variant, file: WeightFile, problem: str) -> str:
    size = f" ({file.size})" if file.size else ""
    return f"{variant.name} needs {file.name}{size}, which {problem}; a local copy can be given by --weights DIR"
