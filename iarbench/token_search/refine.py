"""The search proper: from greedy tokens to better ones, for quantisers of any kind."""

from __future__ import annotations

from torch import Tensor

from iarbench.token_search.budget import Budget
from iarbench.token_search.moves import keep_lower, move
from iarbench.token_search.plan import Plan
from iarbench.token_search.propagation import propagate

SWEEPS = 2
LAST_SWEEPS = 8


def refine(plan: Plan, y: Tensor, greedy: Tensor, budget: Budget) -> Tensor:
    """Tokens (L, B) for features without offset (B, D), of no larger error than the ``greedy`` ones (L, B)."""
    linear, modes, last = plan.linear, plan.modes, budget.iterations_for(y.shape[1])
    best = greedy
    if last:
        schedule = plan.schedule(last)
        data = y - linear.synthesize(schedule.centre.unsqueeze(1))
        *_, belief = propagate(schedule, linear.codes, data, len(y))
        best = keep_lower(linear, y, modes.run(y, belief.likeliest(linear.codes), SWEEPS), best)
    else:
        best = keep_lower(linear, y, modes.run(y, best, LAST_SWEEPS), best)
    for window in plan.windows(budget.moves):
        best = move(window, modes, y, best)
    return keep_lower(linear, y, modes.run(y, best, LAST_SWEEPS), best) if last or budget.moves else best
