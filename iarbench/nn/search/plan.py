"""What a model's token search needs before it sees an image, made once and kept with the quantiser."""

from __future__ import annotations

import hashlib
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.nn.search.gaussian import in_features
from iarbench.nn.search.icm import ConditionalModes
from iarbench.nn.search.linear import LinearMap
from iarbench.nn.search.moves import Window, make_windows
from iarbench.nn.search.prior import Prior
from iarbench.nn.search.schedule import Schedule, build, geometric

# Noise levels as shares of the mean variance of a feature. Started higher the first iterations learn nothing;
# ended higher the last ones decide nothing.
FIRST, LAST = 0.064, 0.0008
FIRST_LOCAL = 0.016
LOCAL_ITERATIONS = 6
WINDOWS = 24


class Plan:
    """Linear map, conditional modes and prior of one model; schedules and windows as budgets first ask for them."""

    def __init__(self, quantizer: MultiScaleQuantizer, usage: Tensor | None) -> None:
        self.linear = LinearMap(quantizer)
        self.modes = ConditionalModes(self.linear)
        self.prior = Prior(self.linear.codes, len(quantizer.patch_nums), usage)
        self._schedules: dict[int, Schedule] = {}
        self._windows: tuple[Window, ...] = ()
        self._power: float | None = None

    @property
    def power(self) -> float:
        """Mean variance of a feature when every token is drawn from the prior."""
        if self._power is None:
            blocks = torch.linalg.inv(self.prior.precision)[self.linear.scale]
            self._power = float((self.linear.gram * blocks).sum() / self.linear.offset.numel())
        return self._power

    def schedule(self, iterations: int) -> Schedule:
        """The schedule of all tokens in that many iterations."""
        if iterations not in self._schedules:
            levels = geometric(FIRST * self.power, LAST * self.power, iterations)
            factor = in_features(self.linear)
            self._schedules[iterations] = build(factor, self.linear.codes, self.prior, self.linear.scale, levels)
        return self._schedules[iterations]

    def windows(self, moves: int) -> tuple[Window, ...]:
        """The windows of that many moves, over and over the same ones."""
        needed = min(moves, WINDOWS)
        if len(self._windows) < needed:
            levels = geometric(FIRST_LOCAL * self.power, LAST * self.power, LOCAL_ITERATIONS)
            self._windows = make_windows(self.modes, self.prior, needed, levels)
        return tuple(self._windows[i % WINDOWS] for i in range(moves))


_plans: WeakKeyDictionary[MultiScaleQuantizer, tuple[str, Plan]] = WeakKeyDictionary()


def plan_for(quantizer: MultiScaleQuantizer, usage: Tensor | None = None) -> Plan:
    """The plan of a quantiser, made anew only when its weights, its device or ``usage`` have changed."""
    identity = _identity(quantizer, usage)
    known = _plans.get(quantizer)
    if known is None or known[0] != identity:
        known = (identity, Plan(quantizer, usage))
        _plans[quantizer] = known
    return known[1]


def _identity(quantizer: MultiScaleQuantizer, usage: Tensor | None) -> str:
    digest = hashlib.sha256(str(quantizer.embedding.weight.device).encode())
    for tensor in [*quantizer.state_dict().values(), *([] if usage is None else [usage])]:
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
