"""Token searches by name, as detectors and their results call them."""

from __future__ import annotations

import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.token_search import MODES_ONLY, Budget, search, search_bits
from iarbench.token_search.reference import reference_search
from iarbench.tokenizer import Quantized

#: the budgets of our own search; ``reference`` is the paper's
BUDGETS = {"modes": MODES_ONLY, "ep": Budget(), "moves": Budget(moves=48)}
SOLVERS = (*BUDGETS, "reference")

#: the paper's stages: all scales free, then one fewer each (arXiv 2606.28386, released configuration)
STAGES = 6


def solve(quantizer: MultiScaleQuantizer | BinaryQuantizer, f: Tensor, solver: str) -> Quantized:
    """Tokens for features ``f`` (B, C, side, side) by one of ``SOLVERS``.

    The paper searches for VAR's tokens alone: of binary codes ``reference`` are the greedy tokens.

    Raises:
        UserError: another name.
    """
    if solver not in SOLVERS:
        raise UserError(f"solver {solver!r}: choose one of {', '.join(SOLVERS)}")
    if isinstance(quantizer, BinaryQuantizer):
        return Quantized(*quantizer(f)) if solver == "reference" else search_bits(quantizer, f, BUDGETS[solver])
    if solver == "reference":
        return reference(quantizer, f)
    return search(quantizer, f, BUDGETS[solver], quantizer.usage if quantizer.usage.any() else None)


def reference(quantizer: MultiScaleQuantizer, f: Tensor, iterations: int = 200) -> Quantized:
    """All stages of the paper's search, each from the tokens of the one before; may end above greedy."""
    tokens, _ = quantizer(f)
    scales = len(quantizer.patch_nums)
    with torch.inference_mode(False):  # it descends gradients, whatever mode the caller is in
        f, tokens = f.clone(), tokens.clone()
        for stage in range(min(STAGES, scales)):
            tokens = reference_search(quantizer, f, tokens, scales - stage, iterations)
    return Quantized(tokens, quantizer.lookup(tokens))
