"""Sampling images, as an order: a part is a shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import torch

from iarbench.device import AtOnce, resolve_device
from iarbench.harness.launch.order import Order
from iarbench.harness.launch.set_work import shard_name
from iarbench.harness.launch.worker import Work
from iarbench.images.record import ImageRecord
from iarbench.images.shards import write_shard
from iarbench.models import variants
from iarbench.models.loading import load_sampler
from iarbench.models.sample_images import make_records


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `iarbench generate` in a process."""
    return _Sampling(order, device, note)


class _Sampling(Work):
    def __init__(self, order: Order, device: str | None, note: Callable[[str], None]) -> None:
        self.order, self.note, self.batch = order, note, AtOnce(int(order.how["batch_size"]))
        weights = order.how["weights"]
        name, sampling = order.asked["generator"], order.asked["sampling"]
        found = resolve_device(device or order.how["device"])
        self.generator = load_sampler(name, found, weights and Path(weights), sampling)
        self.licence = variants.get(name).image_licence

    def do(self, key: str) -> None:
        path = self.order.place / shard_name(int(key))
        while not path.exists():
            with suppress(torch.OutOfMemoryError):
                write_shard(self._records(int(key)), path)
                return
            self.batch.halve(self.note)

    def _records(self, number: int) -> Iterator[ImageRecord]:
        asked = self.order.asked
        start = number * asked["shard"]
        return make_records(
            self.generator,
            asked["generator"],
            asked["split"],
            min(asked["shard"], asked["count"] - start),
            asked["conditions"],
            asked["seed"],
            asked["container"],
            self.batch.size,
            self.licence,
            start=start,
            advance=self.advance,
        )
