"""What many images say together, against hand-computed numbers, brute force and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from iarbench.stats.set_level import STAKES, STOPS, e_process, judge, online_p_values, share
from iarbench.stats.thresholds import ScoreError

LADDER = np.arange(1.0, 10)  # 1..9


def test_p_values_by_hand() -> None:
    # 9.5: (1+0+0)/(9+1+0); 8.5: one known, one earlier at least as high; 8.5 again: one known, two earlier (a tie)
    found = online_p_values([9.5, 8.5, 8.5, 0.0], [LADDER])
    assert found == pytest.approx([1 / 10, 3 / 11, 4 / 12, 13 / 13])
    # the set in which a score is least surprising counts
    assert online_p_values([9.5, 5.5], [LADDER, np.array([10.0, 2.0, 1.0])]) == pytest.approx([2 / 4, 3 / 5])


def test_p_values_are_those_of_every_order_alike() -> None:
    """Exactly: of all orders of ten scores, seven of them known, p-values of the last three are at most a for at most a
    of the orders, jointly as if independent."""
    below = np.zeros((10, 10))
    total = 0
    for tested in itertools.permutations(range(10), 3):
        known = [np.array([float(i) for i in range(10) if i not in tested])]
        p = online_p_values(np.array(tested, dtype=float), known)
        below += np.outer(p[0] <= np.arange(1, 11) / 10 + 1e-9, p[2] <= np.arange(1, 11) / 10 + 1e-9)
        total += 1
    share_of_orders = below / total
    allowed = np.outer(np.arange(1, 11) / 10, np.arange(1, 11) / 10)
    assert (share_of_orders <= allowed + 1e-9).all()


def test_a_bet_by_hand() -> None:
    # p = 1 loses every stake; p = 1/200 wins every bet, whatever its rate
    lost = np.mean([1 - stake for stake in STAKES])
    assert e_process(np.array([1.0])) == pytest.approx([math.log(lost)])
    rates = (1 / 200, 1 / 50, 1 / 20, 1 / 8)
    won = np.mean([1 + stake * (1 / rate - 1) for stake in STAKES for rate in rates])
    assert e_process(np.array([1 / 200])) == pytest.approx([math.log(won)])


def test_a_bet_gains_nothing_on_average() -> None:
    p = (np.arange(4000) + 0.5) / 4000
    assert np.exp([e_process(np.array([one]))[0] for one in p]).mean() == pytest.approx(1, abs=2e-3)


def test_bets_that_stop_keep_what_they_have() -> None:
    """After many losses what is left is what the bets had that stopped before."""
    gained = e_process(np.array([1 / 1000] * 16 + [1.0] * 4000))
    assert gained[15] - gained[-1] < math.log(2 * len(STOPS))


def test_shares_by_hand() -> None:
    """All members and no non-member lie above the threshold: each image is told, but for what is not known of both."""
    found = share([100.0] * 3 + [0.0] * 7, [np.full(1000, 100.0)], [np.linspace(0, 1, 1000)])
    assert (found.flagged, found.threshold) == (3, pytest.approx(1 - 9 / 999))
    assert found.value == pytest.approx((0.3 - 0.009) / (1 - 0.009))
    assert (found.low, found.high) == (0.2, 0.3)
    # k = 10 of 1000: the low end is the first number of members for which three above are no surprise
    for members, surprising in ((1, True), (2, False)):
        assert (_at_least_brute(3, members, 10 - members, (1001, 0), (10, 991)) <= 0.025) == surprising


def test_ends_by_brute_force() -> None:
    """Every number of members is tried, with sums over all ways in which both sides can be flagged."""
    rng = np.random.default_rng(1)
    x, own = rng.normal(1, 1.5, 12), [rng.normal(2, 1, 40), rng.normal(1.5, 1, 30)]
    others = [rng.normal(0, 1, 60), rng.normal(0.3, 1, 50)]
    found = share(x, own, others, fpr=0.05)
    hits, misses = ([(int((v > found.threshold).sum()), len(v)) for v in group] for group in (own, others))
    rates, false = [(h + 1, m - h) for h, m in hits], [(f + 1, m - f) for f, m in misses]
    kept = [
        k
        for k in range(13)
        if max(_at_least_brute(found.flagged, k, 12 - k, a, b) for a in rates for b in false) > 0.025
        and max(1 - _at_least_brute(found.flagged + 1, k, 0, (h, m - h + 1), (1, 1)) for h, m in hits) > 0.025
    ]
    assert (found.low, found.high) == (kept[0] / 12, kept[-1] / 12)
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert found.value is not None
    assert found.low <= found.value <= found.high


def _at_least_brute(count: int, members: int, others: int, a: tuple[float, float], b: tuple[float, float]) -> float:
    return sum(
        _pmf(i, members, *a) * _pmf(j, others, *b)
        for i in range(members + 1)
        for j in range(others + 1)
        if i + j >= count
    )


def _pmf(k: int, n: int, a: float, b: float) -> float:
    """Beta-binomial as an urn from which balls are drawn and put back with another of their colour."""
    if b == 0:
        return float(k == n)
    red = [math.prod((a + i) for i in range(k)), math.prod((b + i) for i in range(n - k))]
    return math.comb(n, k) * red[0] * red[1] / math.prod(a + b + i for i in range(n))


def test_a_target_that_cannot_be_told_says_nothing() -> None:
    rng = np.random.default_rng(0)
    found = share(rng.normal(size=50), [rng.normal(-3, 1, 100)], [rng.normal(size=100)])
    assert (found.value, found.low, found.high) == (None, 0, 1)


def test_small_folders_and_sets() -> None:
    one = judge([5.0], [np.full(3, 5.0)], [np.zeros(3)])
    assert one.share is not None
    assert (one.images, one.share.low, one.share.high) == (1, 0, 1)
    assert judge([5.0, 1.0], [], [np.zeros(3)]).share is None
    with pytest.raises(ScoreError, match="no scores of images"):
        judge([], [np.ones(3)], [np.zeros(3)])
    with pytest.raises(ScoreError, match="no scores of non-members"):
        judge([1.0], [np.ones(3)], [])
    with pytest.raises(ScoreError, match="finite"):
        judge([math.nan], [np.ones(3)], [np.zeros(3)])


def test_many_members_are_seen_and_counted() -> None:
    rng = np.random.default_rng(0)
    scores = rng.permutation(np.concatenate([rng.normal(5, 1, 30), rng.normal(size=70)]))
    found = judge(scores, [rng.normal(5, 1, 250)], [rng.normal(size=600), rng.normal(-1, 1, 400)])
    assert found.share is not None
    assert 0.25 < found.share.low <= 0.3 <= found.share.high < 0.37
    assert found.log10_e > 8
    assert found.p_anytime <= 10**-found.log10_e


def test_coverage_and_false_evidence() -> None:
    """Short: benchmarks/bench_set_level.py does it at length. A fifth of a folder, and none of one."""
    rng = np.random.default_rng(0)
    held = wrong = 0
    for _ in range(150):
        others = [rng.normal(size=150), rng.normal(0.5, 1, 100)]
        folder = rng.permutation(np.concatenate([rng.normal(3, 1, 8), rng.normal(0.5, 1, 32)]))
        found = share(folder, [rng.normal(3, 1, 80)], others)
        held += found.low <= 0.2 <= found.high
        wrong += judge(rng.normal(0.5, 1, 40), [], others).p_anytime <= 0.1
    assert held >= 0.93 * 150
    assert wrong <= 0.15 * 150
