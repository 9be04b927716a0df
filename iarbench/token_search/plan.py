"""What a model's token search needs before it sees an image, made once and kept in memory.

Threads may search one quantiser at the same time: whoever comes first makes what is missing, the others wait for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from threading import Lock, RLock
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.token_search.gaussian import in_features
from iarbench.token_search.icm import ConditionalModes
from iarbench.token_search.linear import LinearMap
from iarbench.token_search.moves import Window, make_windows
from iarbench.token_search.prior import Prior
from iarbench.token_search.schedule import Schedule, build, geometric
from iarbench.token_search.sources import multi_scale, one_channel
from iarbench.token_search.store import kept

# Noise levels as fractions of the mean variance of a feature. Ended lower, an image farther from the codes than that is
# taken apart by its last digits: 44 % instead of none of the photographs moved with features by a millionth.
FIRST, LAST = 0.25, 0.016
FIRST_LOCAL = 0.064
LOCAL_ITERATIONS = 6
WINDOWS = 24


class Plan:
    """Linear map, conditional modes and prior of one model; schedules and windows as budgets first ask for them.

    ``identity`` names everything these depend on.
    """

    def __init__(self, linear: LinearMap, usage: Tensor | None, identity: str) -> None:
        self.linear, self.identity = linear, identity
        self.modes = ConditionalModes(linear)
        self.prior = Prior(linear.codes, len(linear.sides), usage)
        self._schedules: dict[int, Schedule] = {}
        self._windows: tuple[Window, ...] = ()
        self._making = RLock()

    @property
    def power(self) -> float:
        """Mean variance of a feature when every token is drawn from the prior."""
        blocks = torch.linalg.inv(self.prior.precision)[self.linear.scale]
        return float((self.linear.gram * blocks).sum() / self.linear.offset.numel())

    def schedule(self, iterations: int) -> Schedule:
        """The schedule of all tokens in that many iterations, from memory, from disk or made now."""
        with self._making:
            if iterations not in self._schedules:
                linear, levels = self.linear, geometric(FIRST, LAST, iterations)

                def make() -> Schedule:
                    return build(in_features(linear), linear.codes, self.prior, linear.scale, levels, self.power)

                self._schedules[iterations] = kept(linear, f"{self.identity} {levels}", make)
            return self._schedules[iterations]

    def windows(self, moves: int) -> tuple[Window, ...]:
        """The windows of that many moves, over and over the same ones."""
        needed = min(moves, WINDOWS)
        with self._making:
            if len(self._windows) < needed:
                levels = geometric(FIRST_LOCAL, LAST, LOCAL_ITERATIONS)
                self._windows = make_windows(self.modes, self.prior, needed, levels, self.power)
            return tuple(self._windows[i % WINDOWS] for i in range(moves))


_plans: WeakKeyDictionary[MultiScaleQuantizer, Plan] = WeakKeyDictionary()
_bit_plans: dict[tuple[BinaryQuantizer, str], Plan] = {}
_looking = Lock()


def plan_for(quantizer: MultiScaleQuantizer, usage: Tensor | None = None) -> Plan:
    """The plan of a quantiser, made anew only when its weights, its device or ``usage`` have changed."""
    device = quantizer.embedding.weight.device
    identity = _identity(str(device), [*quantizer.state_dict().values(), *([] if usage is None else [usage])])
    with _looking:
        known = _plans.get(quantizer)
        if known is None or known.identity != identity:
            alike = (plan for plan in _plans.values() if plan.identity == identity)  # another encoder's, say
            known = _plans[quantizer] = next(alike, None) or Plan(multi_scale(quantizer), usage, identity)
        return known


def bit_plan_for(quantizer: BinaryQuantizer, device: torch.device) -> Plan:
    """The plan of one channel of a quantiser that makes signs; all channels are alike."""
    key = (quantizer, str(device))
    with _looking:
        if key not in _bit_plans:
            _bit_plans[key] = Plan(one_channel(quantizer, device), None, str(key))
        return _bit_plans[key]


def _identity(device: str, tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256(device.encode())
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
