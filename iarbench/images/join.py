"""Several image sets made one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet
from iarbench.images.importing import prefixed
from iarbench.images.record import ImageRecord


def join(sets: Sequence[ImageSet], names: Sequence[str], prefixes: Sequence[str]) -> Iterator[ImageRecord]:
    """The records of all sets in order, with all columns; ids get the prefix of their set, as do groups that are ids.

    Args:
        sets: two or more.
        names: what the user calls them, for messages.
        prefixes: one for each set, "" leaves its ids alone; or none at all.

    Raises:
        UserError: another number of prefixes, or an id is in two sets.
    """
    if prefixes and len(prefixes) != len(sets):
        raise UserError(f"{len(prefixes)} prefixes for {len(sets)} sets: give one for each, in their order")
    prefixes = prefixes or [""] * len(sets)
    ids = [frozenset(images.index()["image_id"]) for images in sets]
    holder: dict[str, int] = {}
    for place, (prefix, own) in enumerate(zip(prefixes, ids, strict=True)):
        for image_id in sorted(own):
            if (other := holder.setdefault(prefix + image_id, place)) != place:
                raise UserError(
                    f"image id {prefix + image_id!r} is in {names[other]} and in {names[place]}; give the ids of each "
                    "set a prefix, such as --prefix a/ --prefix b/"
                )
    return (
        prefixed(record, prefix, own)
        for images, prefix, own in zip(sets, prefixes, ids, strict=True)
        for batch in images.iterate()
        for record in batch
    )
