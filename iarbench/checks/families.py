"""What a family brings for `iarbench check`: a module beside its own, called ``<family>_checks``.

It holds three functions:

* ``golden_transformer_config(config)``: the transformer's configuration from the config.json of a golden folder;
* ``recompute(golden)``: the family's own tensors of that folder from its inputs, under their golden names;
* ``released_parts(sizes)``: the modules that one released file fills, from its hyper-parameters in a manifest.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.models import variants
from iarbench.models.loading import family_class
from iarbench.models.variants import Variant
from iarbench.nn.sampling import Greedy
from iarbench.user_code import is_file_reference, load_module, split_reference

#: the modules that one released file fills, with the prefix of their tensors' names in it
Parts = list[tuple[str, nn.Module]]


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden folder: its configuration, its stored tensors and scalars, and our model with its weights."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    model: Generator


class FamilyChecks(Protocol):
    """The module ``<family>_checks``; see above."""

    def golden_transformer_config(self, config: Mapping[str, Any]) -> dict[str, Any]: ...

    def recompute(self, golden: Golden) -> dict[str, Tensor]: ...

    def released_parts(self, sizes: Mapping[str, Any]) -> Parts: ...


def find_family(name: str) -> tuple[type[Generator], FamilyChecks]:
    """A family's Generator class and its checks. Raises UserError for an unknown family or one without checks."""
    known = {variant.family: variant for variant in map(variants.get, variants.names())}
    if name not in known:
        raise UserError(f"unknown family {name!r}; known: {', '.join(sorted(known))}")
    return family_class(known[name]), _checks(known[name])


def _checks(variant: Variant) -> FamilyChecks:
    if is_file_reference(variant.code):
        own, _ = split_reference(variant.code)
        path = own.with_name(f"{own.stem}_checks.py")
        if not path.is_file():
            raise UserError(f"family {variant.family} has no checks: write {path}, as `iarbench.checks.families` says")
        return cast(FamilyChecks, load_module(path, str(path)))
    module = f"{variant.code.partition(':')[0]}_checks"
    try:
        return cast(FamilyChecks, importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UserError(f"family {variant.family} has no checks: there is no module {module}") from None


def greedily(model: Generator, conditions: Any, **sampling: Any) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """Greedy tokens, the guided logits of each step, and what they decode to under its golden names."""
    trace: list[Tensor] = []
    tokens = model.sample_tokens(conditions, Greedy(), trace=trace, **sampling)
    f_hat = model.tokenizer.lookup(tokens)
    return tokens, trace, {"gen_fhat": f_hat, "gen_image": model.tokenizer.decode_clamped(f_hat)}
