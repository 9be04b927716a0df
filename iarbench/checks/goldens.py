"""Golden folders: inputs and outputs of an official implementation, opened with our modules."""

from __future__ import annotations

import json
from pathlib import Path

from iarbench.checks.families import Golden, find_family
from iarbench.errors import UserError
from iarbench.nn.checkpoint import load_released, read_state


def read_golden(folder: Path) -> Golden:
    """Open a folder of config.json, weights_*.safetensors, io.json and io.safetensors. Raises UserError."""
    try:
        config = json.loads((folder / "config.json").read_text())
        scalars = json.loads((folder / "io.json").read_text())["scalars"]
        name, tokenizer_config, image_size = config["family"], config["tokenizer"], config["image_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} is not a golden folder ({error})") from None
    family, checks = find_family(name)
    try:
        tokenizer = family.tokenizer_class(tokenizer_config, image_size)
        transformer = family.transformer_class(checks.golden_transformer_config(config))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: no {name} can be built as its config.json says ({error})") from error
    for module, file in ((tokenizer, "weights_tokenizer.safetensors"), (transformer, "weights_ar.safetensors")):
        state = {k: v.float() if v.is_floating_point() else v for k, v in read_state(folder / file).items()}
        load_released(module, state, str(folder / file))
        module.eval()
    return Golden(config, read_state(folder / "io.safetensors"), scalars, family(tokenizer, transformer, {}))
