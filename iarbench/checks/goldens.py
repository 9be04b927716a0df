"""Golden folders: inputs and outputs of an official implementation, opened with our modules."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.nn.checkpoint import load_released, read_state


@dataclass(frozen=True, slots=True)
class Golden:
    """One folder: its configuration, its stored tensors and scalars, and our model with its weights."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    model: Generator


def family_class(family: str) -> type[Generator]:
    """The Generator class of a family by name."""
    names = {"llamagen": "LlamaGen", "var": "VAR", "rar": "RAR", "taming": "Taming", "infinity": "Infinity"}
    if family not in names:
        raise UserError(f"unknown family {family!r}; known: {', '.join(names)}")
    return getattr(importlib.import_module(f"iarbench.generators.{family}"), names[family])


def read_golden(folder: Path) -> Golden:
    """Open a folder of config.json, weights_*.safetensors, io.json and io.safetensors. Raises UserError."""
    try:
        config = json.loads((folder / "config.json").read_text())
        scalars = json.loads((folder / "io.json").read_text())["scalars"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} is not a golden folder ({error})") from None
    family = family_class(config["family"])
    tokenizer = family.tokenizer_class(config["tokenizer"], config["image_size"])
    transformer = family.transformer_class(family.golden_transformer_config(config))
    for module, file in ((tokenizer, "weights_tokenizer.safetensors"), (transformer, "weights_ar.safetensors")):
        state = {k: v.float() if v.is_floating_point() else v for k, v in read_state(folder / file).items()}
        load_released(module, state, str(folder / file))
        module.eval()
    return Golden(config, read_state(folder / "io.safetensors"), scalars, family(tokenizer, transformer, {}))
