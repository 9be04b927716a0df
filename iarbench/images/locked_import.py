"""Importing what a lock lists: images are known by the SHA-256 of their files, whatever these are called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from iarbench.errors import UserError
from iarbench.images.decode import ImageError, decode
from iarbench.images.importing import FoundImage
from iarbench.images.lock import Lock, LockedImage, made_with
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord


class LockMismatchError(UserError):
    """A source does not give what a lock lists; `lines`: "missing: ..." or "different: ..." for each image."""

    def __init__(self, lines: list[str], listed: int) -> None:
        super().__init__(
            f"{len(lines)} of the {listed} images of the lock are missing or different: nothing is written"
        )
        self.lines = lines


def make_locked(found: Iterable[FoundImage], lock: Lock) -> Iterator[ImageRecord]:
    """The images of a lock as records, as they are found; the rest of the source is passed over.

    Raises:
        LockMismatchError: at the end, when an image was not found, or came out with other bytes.
    """
    wanted = {one.image_id: one for one in lock.images}
    by_hash: dict[str, list[str]] = {}
    for one in lock.images:
        for sha256 in {one.source_sha256, one.sha256}:  # as it was found, or as somebody else made it from this lock
            by_hash.setdefault(sha256, []).append(one.image_id)
    by_name = {_stem(one.image_id): one.image_id for one in lock.images}
    lookalikes: dict[str, str] = {}
    different: dict[str, str] = {}
    for item in found:
        sha256 = hashlib.sha256(item.data).hexdigest()
        if sha256 not in by_hash and (namesake := by_name.get(_stem(item.image_id))):
            lookalikes.setdefault(namesake, f"{item.name} is another file of that name")
        for row in [wanted.pop(image_id) for image_id in by_hash.get(sha256, ()) if image_id in wanted]:
            try:
                record = _record(item, row, made=sha256 == row.sha256)
            except ImageError as error:
                different[row.image_id] = f"{item.name}: {error.reason}"
                continue
            if record.sha256 != row.sha256:
                different[row.image_id] = _other_bytes(row, lock)
            yield record
        if not wanted:
            break
    lines = [f"different: {image_id}: {reason}" for image_id, reason in different.items()]
    lines += [
        f"different: {row.image_id}: {lookalikes[row.image_id]}"
        if row.image_id in lookalikes
        else f"missing: {row.image_id}: a file of SHA-256 {row.source_sha256}{f', {row.page}' if row.page else ''}"
        for row in wanted.values()
    ]
    if lines:
        raise LockMismatchError(lines, len(lock.images))


def _record(item: FoundImage, row: LockedImage, made: bool) -> ImageRecord:
    """`made`: the file is the one of the set already."""
    known = asdict(row)
    del known["sha256"]
    decoded = decode(item.data, item.name)
    path = item.path if row.treatment is None else None
    if made:
        known["source_sha256"] = row.source_sha256 if row.treatment else None
    else:
        del known["source_sha256"], known["treatment"]
    record = ImageRecord.make(item.data, decoded=decoded, path=path, seed=item.seed, tokens=item.tokens, **known)
    if made or row.treatment is None:
        return record
    return record.with_bytes(Preprocess.parse(row.treatment)(decoded.image), row.treatment)


def _other_bytes(row: LockedImage, lock: Lock) -> str:
    here, there = (
        ", ".join(f"{name} {version}" for name, version in by.items()) for by in (made_with(), lock.made_with)
    )
    return (
        f"the file is right, but {row.treatment} gives other bytes here ({here}) than where the lock was made ({there})"
    )


def _stem(name: str) -> str:
    """What a file is called without folder and suffix."""
    return name.rpartition("/")[2].partition(".")[0]
