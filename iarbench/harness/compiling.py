"""Compiling encoders and decoders with torch.compile."""

from __future__ import annotations

from collections.abc import Callable

import torch

from iarbench.errors import UserError
from iarbench.evidence import Target

MANY = 1000


def compile_passes(target: Target, warm_up: Callable[[], object]) -> None:
    """Let torch compile the encoder and decoder of ``target``, in place, for the one batch size of ``warm_up``.

    ``warm_up`` makes both passes once, which is when they are compiled. Another batch size would compile them anew.

    Raises:
        UserError: torch cannot compile here, mostly for want of a C++ compiler.
    """
    # Tokenizers of one family share their code, and so does torch's count of how often it was compiled: past 8 it
    # would quietly go on uncompiled.
    torch._dynamo.config.cache_size_limit = MANY
    for name in ("encode", "decode"):
        setattr(target.tokenizer, name, torch.compile(getattr(target.tokenizer, name), dynamic=False))
    try:
        warm_up()
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).splitlines()[0][:160]
        raise UserError(f"--compile: torch cannot compile here ({reason}); repeat without it") from None
