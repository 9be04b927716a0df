"""What the benchmarks share: a set of any size made of the packaged one, and where results are kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import torch

from iarbench.content import images_path
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.models import variants

RESULTS = Path(__file__).parent / "results"


def three_digits(value: torch.Tensor) -> float:
    """A single number with three significant digits."""
    return float(f"{float(value):.3g}")


def repeated(count: int, out: Path) -> ImageSet:
    """An image set of ``count`` members of llamagen-mini, the packaged ones again and again under new ids."""
    packaged = ImageSet.open(images_path("iarbench-mini")).filter(source="llamagen-mini", split="test")
    own = [record for batch in packaged.iterate() for record in batch]

    def records() -> Iterator[ImageRecord]:
        for number, record in enumerate(islice(cycle(own), count)):
            name = f"bench/{number:06d}"
            yield replace(record, image_id=name, group=name)

    return ImageSet.write(records(), out)


def minis() -> list[str]:
    """Every packaged mini generator."""
    return [variant.name for variant in variants.minis()]


def keep(name: str, numbers: dict[str, object]) -> None:
    """Print the numbers and store them with the machine they were measured on."""
    machine = {"cores": os.cpu_count(), "torch_threads": torch.get_num_threads(), "machine": platform.machine()}
    text = json.dumps({"benchmark": name, **numbers, **machine, "torch": torch.__version__}, indent=1)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
