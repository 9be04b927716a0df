"""The folder a training writes: weights as float16 safetensors and a YAML that makes them a generator.

With ``IARBENCH_GENERATORS`` pointing to the folder, every command knows the new generator by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from iarbench.errors import UserError
from iarbench.files import sha256_file, write_atomically, write_text
from iarbench.models.variants import Variant, read_family, variants_of

if TYPE_CHECKING:
    from torch import Tensor

#: how the families' releases call the number of classes of a transformer
CLASS_COUNTS = ("num_classes", "condition_num_classes")
#: what cannot change once a tokenizer is trained
ARCHITECTURE = ("code", "image_size", "conditions", "tokenizer")
#: what a description takes over from the variant it was modelled on
INHERITED = (
    *ARCHITECTURE,
    "transformer",
    "sampling",
    "sampling_precision",
    "training",
    "finetune",
    "licence",
    "citation",
)


@dataclass(frozen=True, slots=True)
class TrainedFolder:
    """One generator in the making. Its description changes in memory; files are written when a part is finished."""

    folder: Path
    name: str
    description: dict[str, Any]

    @classmethod
    def begin(cls, folder: Path, name: str, like: Variant, **tokenizer: Any) -> TrainedFolder:
        """A generator built like ``like``, or the one that is there if it is built so.

        ``tokenizer``: what its tokenizer's configuration has otherwise. Raises UserError when another one is there.
        """
        own = like.model_dump(mode="json", include=set(INHERITED))
        own["tokenizer"] = {**own["tokenizer"], **tokenizer}
        new = cls(folder, name, {"family": like.family, "variants": {name: {**own, "files": {}}}})
        if not new._path.exists():
            return new
        there = cls.open(folder, name)
        for key in ARCHITECTURE:
            if getattr(there.variant, key) != getattr(new.variant, key):
                raise UserError(
                    f"{there._path} describes a generator of another architecture than {like.name} (its {key} differs);"
                    " give another --name or --out"
                )
        return there

    @classmethod
    def open(cls, folder: Path, name: str) -> TrainedFolder:
        """The generator as far as it has been trained. Raises UserError."""
        path = folder / f"{name}.yaml"
        if not path.is_file():
            raise UserError(f"{path} does not exist: run `iarbench train tokenizer --name {name} --out {folder}` first")
        if name not in (known := [variant.name for variant in read_family(path)]):
            raise UserError(
                f"{path} describes {', '.join(known) or 'nothing'}, not {name}; give another --name or --out"
            )
        return cls(folder, name, yaml.safe_load(path.read_text()))

    @property
    def variant(self) -> Variant:
        """What the description says by now."""
        found = variants_of(self.description, self.folder, str(self._path))
        return next(variant for variant in found if variant.name == self.name)

    def checkpoint(self, phase: str) -> Path:
        """Where a phase of the training keeps its state."""
        return self.folder / "checkpoints" / f"{self.name}-{phase}.pt"

    def set_classes(self, classes: list[str]) -> None:
        """Name the classes, in the order of their numbers, and size the transformer for them."""
        self._entry["classes"] = classes
        transformer = self._entry["transformer"]
        for key in CLASS_COUNTS:
            if key in transformer:
                transformer[key] = len(classes)

    def save(self, parts: Mapping[str, Mapping[str, Tensor]], cards: Mapping[str, dict[str, Any]]) -> list[Path]:
        """Write the tensors of the finished ``parts`` as float16, then the description with their ``cards``.

        Weights that belong to another tokenizer than the one saved leave the description. Returns the weight files.
        """
        import torch
        from safetensors.torch import save

        files: list[Path] = []
        known = self._entry["files"]
        before = known.get("tokenizer", {}).get("sha256")
        for part, state in parts.items():
            file = self.folder / f"{self.name}-{part}.safetensors"
            half = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in state.items()}
            write_atomically(file, lambda opened, half=half: opened.write(save(half)))  # type: ignore[misc]
            known[part] = {"path": file.name, "sha256": sha256_file(file)}
            self._entry.setdefault("card", {})[part] = cards.get(part, {})
            files.append(file)
        if before not in (None, known["tokenizer"]["sha256"]):
            for part in known.keys() - parts.keys():
                del known[part]
        write_text(self._path, yaml.safe_dump(self.description, sort_keys=False))
        return files

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.name}.yaml"

    @property
    def _entry(self) -> dict[str, Any]:
        return self.description["variants"][self.name]
