"""The folder a training writes: weights as float16 safetensors and a YAML that makes them a generator.

With ``IARBENCH_GENERATORS`` pointing to the folder, every command knows the new generator by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from torch import Tensor

from iarbench.errors import UserError
from iarbench.files import write_atomically, write_text
from iarbench.models.variants import Variant, read_family
from iarbench.models.weights import sha256_file

#: what a description takes over from the variant it was modelled on
INHERITED = (
    "code",
    "image_size",
    "conditions",
    "tokenizer",
    "transformer",
    "sampling",
    "sampling_precision",
    "training",
    "finetune",
    "licence",
    "citation",
)


def start_folder(folder: Path, name: str, like: Variant, **tokenizer: Any) -> None:
    """Write ``folder/name.yaml`` for a generator built like ``like``, unless it is already there.

    ``tokenizer``: what its tokenizer's configuration has otherwise.
    """
    path = folder / f"{name}.yaml"
    if not path.exists():
        own = like.model_dump(include=set(INHERITED))
        own["tokenizer"] = {**own["tokenizer"], **tokenizer}
        write_text(
            path, yaml.safe_dump({"family": like.family, "variants": {name: {**own, "files": {}}}}, sort_keys=False)
        )


def open_folder(folder: Path, name: str) -> Variant:
    """The generator as far as it has been trained. Raises UserError."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"{path} does not exist: run `iarbench train tokenizer --name {name} --out {folder}` first")
    return read_family(path)[0]


def add_weights(folder: Path, name: str, part: str, state: dict[str, Tensor], card: dict[str, Any]) -> Path:
    """Save one part's tensors as float16 and enter file and ``card`` into the YAML; returns the weight file."""
    file = folder / f"{name}-{part}.safetensors"
    half = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in state.items()}
    write_atomically(file, lambda opened: opened.write(save(half)))
    path = folder / f"{name}.yaml"
    text = yaml.safe_load(path.read_text())
    entry = text["variants"][name]
    entry["files"][part] = {"path": file.name, "sha256": sha256_file(file)}
    entry.setdefault("card", {})[part] = card
    write_text(path, yaml.safe_dump(text, sort_keys=False))
    return file


def set_classes(folder: Path, name: str, classes: list[str]) -> None:
    """Enter the names of the classes, in the order of their numbers, and size the transformer for them."""
    path = folder / f"{name}.yaml"
    text = yaml.safe_load(path.read_text())
    text["variants"][name]["classes"] = classes
    transformer = text["variants"][name]["transformer"]
    for key in ("num_classes", "condition_num_classes"):  # as the families' releases call it
        if key in transformer:
            transformer[key] = len(classes)
    write_text(path, yaml.safe_dump(text, sort_keys=False))
