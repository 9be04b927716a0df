"""What `iarbench check` needs to know of the sixth family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sixth import CellTokenizer, Table
from torch import Tensor

from iarbench.checks.families import Golden, Parts, greedily


def golden_transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return dict(config["table"])


def recompute(golden: Golden) -> dict[str, Tensor]:
    model, io = golden.model, golden.tensors
    tokens, trace, own = greedily(model, io["ar_cond"])
    return own | {"tokens": model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens,
                  "gen_tokens": tokens, "gen_logprobs": trace[0].log_softmax(-1)}  # fmt: skip


def released_parts(sizes: Mapping[str, Any]) -> Parts:
    return [("", CellTokenizer(sizes, 16) if "cell" in sizes else Table(sizes))]
