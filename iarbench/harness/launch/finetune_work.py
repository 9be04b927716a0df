"""Fine-tuning several generators' encoders, as an order: a part is a generator."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from iarbench.files import write_text
from iarbench.harness.launch.engine import Launch
from iarbench.harness.launch.order import Order, WorkPart
from iarbench.harness.launch.rounds import carry_out
from iarbench.harness.launch.worker import Work

HOW = ("device", "threads")
"""Options that change how, not what."""


def finetune_elsewhere(
    options: Mapping[str, Any], generators: Sequence[str], out: Path, launch: Launch, command: str, stream: TextIO
) -> None:
    """Have the encoder of every generator fine-tuned into `out`. `options`: those of the command, as JSON has them.

    Raises:
        UserError: as `carry_out`.
    """
    asked = {name: value for name, value in options.items() if name not in HOW} | {"generators": list(generators)}
    order = Order.here(out, "finetune", asked, {name: options[name] for name in HOW}, command)
    parts = [WorkPart(name, options["count"], (_marker(order, name),)) for name in generators]
    carry_out(order, parts, launch.make(options["device"]), stream, "fine-tuning")
    order.remove()


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `finetune_elsewhere` in a process."""
    return _Finetuning(order, device)


class _Finetuning(Work):
    def __init__(self, order: Order, device: str | None) -> None:
        self.order, self.device = order, device

    def do(self, key: str) -> None:
        from iarbench.commands.finetune import finetune

        options = {**self.order.asked, **self.order.how, "generator": key, "out": self.order.place}
        options["device"] = self.device or options["device"]
        options["weights"] = options["weights"] and Path(options["weights"])
        finetune(argparse.Namespace(**options))
        write_text(self.order.place / _marker(self.order, key), "")


def _marker(order: Order, generator: str) -> str:
    """What is there when a generator is done: its encoder may be that of an earlier training."""
    return f"{(order.folder / 'done').relative_to(order.place)}/{generator}"
