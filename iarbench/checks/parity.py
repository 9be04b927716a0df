"""Comparing our tensors with a golden folder's, one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from iarbench.checks.families import Golden
from iarbench.checks.finetuning import finetuning_step
from iarbench.checks.goldens import read_golden
from iarbench.checks.recompute import recompute, twice_in_float64
from iarbench.errors import UserError

#: names that are given, not computed
INPUTS = {"images", "ar_cond", "optim_gen_f", "text_features", "text_lens", "tf_random_orders"}


#: see `compare`
NOISE = 4.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the report. ``difference`` and ``tolerance`` are absolute unless ``relative``."""

    name: str
    difference: float
    tolerance: float
    unit: str

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance; NaN never is."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok  " if self.ok else "OVER"
        return f"{verdict} {self.name:42s} {self.difference:.3g} {self.unit} (allowed {self.tolerance:.3g})"


def check_folder(folder: Path) -> Iterator[Comparison]:
    """Compare every tensor of ``folder``, then the fine-tuning numbers; a missing tensor counts as infinitely off."""
    golden = read_golden(folder)
    try:
        own, exact = recompute(golden), twice_in_float64(golden)
    except KeyError as error:
        raise UserError(f"{folder} is not a whole golden folder: it lacks {error}") from error
    for name in sorted(golden.tensors.keys() - INPUTS):
        if name in own:
            yield compare(name, own[name], golden.tensors[name], exact.get(name))
        else:
            yield Comparison(name, float("inf"), 0.0, "not computed")
    yield from _finetuning(golden)


def compare(name: str, own: Tensor, stored: Tensor, exact: Tensor | None = None) -> Comparison:
    """Tokens and bits exactly; numbers by the tolerances that float32 noise of the official code asks for.

    ``exact``: ours in float64, where rounding may be amplified. Both implementations may be as far from it as ours is,
    and their largest errors need not be at the same place: ``NOISE`` times that distance is allowed if it is more.
    """
    if own.shape != stored.shape:
        return Comparison(name, float("inf"), 0.0, f"shape {tuple(own.shape)} for {tuple(stored.shape)}")
    if re.match(r"optim_(image|gen)_stage\d+_tokens$", name):
        # 120 to 1,200 Adam steps amplify rounding: the goldens ask for agreement and error, not identity.
        return Comparison(name, (own != stored).float().mean().item(), 0.02, "share of tokens differing")
    if not stored.is_floating_point():
        return Comparison(name, (own.long() != stored.long()).float().mean().item(), 0.0, "share differing")
    wide, reference = own.double(), stored.double()
    difference = (wide - reference).abs()
    if re.match(r"optim_(image|gen)_f_hat$|optim_recon_quant$", name):
        relative = (difference.square().mean() / reference.square().mean()).sqrt().item()
        return Comparison(name, relative, 0.1, "relative RMS")
    rounding = torch.zeros_like(wide) if exact is None else (wide - exact).abs()
    if "signal" in name or "quant_loss" in name:
        tolerance = 1e-2 if name.startswith("optim") else 1e-3
        scale = reference.abs().clamp(min=1e-12)
        allowed = max(tolerance, NOISE * (rounding / scale).max().item())
        return Comparison(name, (difference / scale).max().item(), allowed, "relative")
    allowed = max(_absolute_tolerance(name, stored), NOISE * rounding.max().item())
    return Comparison(name, difference.max().item(), allowed, "absolute")


def _absolute_tolerance(name: str, stored: Tensor) -> float:
    if name in ("gen_logprobs", "gen_bit_logit"):
        return 2e-2 if stored.dtype == torch.float16 else 1e-3
    return 5e-4 if "logits" in name else 1e-4


def _finetuning(golden: Golden) -> Iterator[Comparison]:
    stored = golden.scalars.get("finetune")
    if stored is None:
        return
    own = finetuning_step(golden)
    for name in ("loss", "grad_norm", "loss_after_one_adam_step", "loss_png8"):
        yield Comparison(f"finetune {name}", abs(own[name] / stored[name] - 1), 1e-3, "relative")
    yield _gradients(golden, own, stored.get("per_param_grad_norm", {}))


def _gradients(golden: Golden, own: dict[str, float], stored: dict[str, float]) -> Comparison:
    """The worst parameter, relative to its own norm; norms that are rounding noise compare by the total."""
    tokenizer = golden.model.tokenizer
    floor = 1e-4 * own["grad_norm"]
    worst = 0.0
    for name, norm in stored.items():
        index, _, rest = name.removeprefix("module").partition(".")
        module = tokenizer.inverse_modules[int(index)]
        key = tokenizer.released_key(f"{module}.{rest}")  # type: ignore[operator]
        mine = own.get(f"grad_norm {key}", float("inf"))
        worst = max(worst, abs(mine - norm) / max(norm, floor))
    counted = sum(name.startswith("grad_norm ") for name in own)
    if stored and counted != len(stored):
        worst = float("inf")
    return Comparison(f"finetune gradients of {len(stored)} parameters", worst, 1e-3, "relative")
