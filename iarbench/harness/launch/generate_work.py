"""Sampling images, as an order: a part is a shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from iarbench.errors import UserError
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
        from iarbench.device import resolve_device

        self.order, self.note, self.batch = order, note, int(order.how["batch_size"])
        weights = order.how["weights"]
        name, sampling = order.asked["generator"], order.asked["sampling"]
        found = resolve_device(device or order.how["device"])
        self.generator = load_sampler(name, found, weights and Path(weights), sampling)
        self.licence = variants.get(name).image_licence
        self.halved = False

    def do(self, key: str) -> None:
        path = self.order.place / shard_name(int(key))
        if path.exists():
            return
        try:
            write_shard(self._records(int(key)), path)
        except torch.OutOfMemoryError:
            if self.halved or self.batch == 1:
                advice = f"for batches of {self.batch}; repeat with --batch-size {self.batch // 4 or 1}"
                raise UserError(f"the GPU has too little memory {advice}") from None
            self.halved, self.batch = True, self.batch // 2
            torch.cuda.empty_cache()
            self.note(f"the GPU has too little memory for batches of {2 * self.batch}; going on with {self.batch}")
            self.do(key)

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
            self.batch,
            self.licence,
            start=start,
            advance=self.advance,
        )
