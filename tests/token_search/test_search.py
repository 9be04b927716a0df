"""The token search of multi-scale quantisers, on one small enough to decode in a blink."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import iarbench.token_search as search_module
from iarbench.errors import UserError
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.token_search import MODES_ONLY, Budget, plan, search, store
from iarbench.token_search.icm import ConditionalModes
from iarbench.token_search.linear import convolve
from iarbench.token_search.propagation import propagate
from iarbench.token_search.sources import multi_scale

CODES, DIM, PATCHES = 64, 8, (1, 2, 4)
LENGTH = sum(n * n for n in PATCHES)
SMALL = Budget(iterations=20, moves=4)


def make_quantizer(seed: int = 0) -> MultiScaleQuantizer:
    generator = torch.Generator().manual_seed(seed)
    quantizer = MultiScaleQuantizer(CODES, DIM, PATCHES, ratio=0.5, shared=2).eval().requires_grad_(False)
    for parameter in quantizer.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return quantizer


@pytest.fixture(scope="module")
def quantizer() -> MultiScaleQuantizer:
    return make_quantizer()


@pytest.fixture(scope="module")
def tokens() -> Tensor:
    return torch.randint(CODES, (20, LENGTH), generator=torch.Generator().manual_seed(1))


def error(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).mean(1)


def noise(count: int) -> Tensor:
    return torch.randn(count, DIM, PATCHES[-1], PATCHES[-1], generator=torch.Generator().manual_seed(2))


def test_linear_map_is_the_quantizer(quantizer: MultiScaleQuantizer, tokens: Tensor) -> None:
    linear = multi_scale(quantizer)
    made = linear.offset + linear.synthesize(linear.codes[tokens.T])
    torch.testing.assert_close(made.float(), quantizer.lookup(tokens).flatten(1), rtol=0, atol=1e-5)
    r = noise(3).flatten(1).double()
    columns = linear.columns(0, LENGTH)
    torch.testing.assert_close(linear.correlate(r), (columns @ r.T).mT, rtol=1e-4, atol=1e-4)


def test_a_convolution_as_matrix_products_is_the_convolution() -> None:
    kernel = torch.randn(6, DIM, 3, 3, generator=torch.Generator().manual_seed(3))
    expected = F.conv2d(noise(5), kernel, padding=1)
    torch.testing.assert_close(convolve(noise(5).double(), kernel.double()), expected.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("small", [0, 2**22], ids=["large", "small"])
def test_structured_covariances_equal_dense_ones(
    quantizer: MultiScaleQuantizer, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarbench.token_search.linear.SMALL", small)
    linear = multi_scale(quantizer)
    root = torch.randn(LENGTH, DIM, DIM, generator=torch.Generator().manual_seed(3)).double()
    columns, blocks = linear.columns(0, LENGTH), root @ root.mT
    covariance = columns.flatten(0, 1).T @ torch.block_diag(*blocks) @ columns.flatten(0, 1)
    torch.testing.assert_close(linear.covariance(blocks), covariance, rtol=1e-4, atol=1e-4)
    inner = torch.stack([a @ covariance @ a.T for a in columns])
    torch.testing.assert_close(linear.diagonal_blocks(covariance), inner, rtol=1e-4, atol=1e-3)


def test_conditional_modes_never_raise_the_error_and_end_at_an_optimum(quantizer: MultiScaleQuantizer) -> None:
    linear = multi_scale(quantizer)
    modes = ConditionalModes(linear)
    assert sorted(torch.cat([c.tokens for c in modes.classes]).tolist()) == list(range(LENGTH))
    f = noise(4)
    now = quantizer(f)[0].T
    y = f.flatten(1) - linear.offset
    for _ in range(20):
        after = modes.run(y, now, 1)
        assert (linear.residual(y, after).square().sum(1) <= linear.residual(y, now).square().sum(1) + 1e-5).all()
        now = after
    assert torch.equal(modes.run(y, quantizer(f)[0].T, 20), now), "the residual is kept right from class to class"
    now = now.T
    least = error(quantizer.lookup(now), f)
    for j in range(LENGTH):
        tried = now[:, None].repeat(1, CODES, 1)
        tried[:, :, j] = torch.arange(CODES)
        errors = error(quantizer.lookup(tried.flatten(0, 1)), f.repeat_interleave(CODES, 0)).view(-1, CODES)
        torch.testing.assert_close(errors.min(1).values, least, rtol=1e-4, atol=0)


def test_known_tokens_are_found_where_greedy_and_modes_fail(quantizer: MultiScaleQuantizer, tokens: Tensor) -> None:
    f = quantizer.lookup(tokens)
    greedy, _ = quantizer(f)
    modes = search(quantizer, f, MODES_ONLY).tokens
    found = search(quantizer, f, SMALL)
    right = [float((t == tokens).float().mean()) for t in (greedy, modes, found.tokens)]
    assert right[0] < 0.5
    assert right[1] < 0.8
    assert right[2] > 0.98
    assert error(found.features, f).median() < 1e-10


@pytest.mark.parametrize("common", [0.0, 1.5])
def test_propagation_finds_the_tokens(common: float) -> None:
    """Whatever codes have in common, and however few of them the coarsest scale uses (real codebooks: two)."""
    generator = torch.Generator().manual_seed(0)
    quantizer = MultiScaleQuantizer(128, DIM, (1, 2, 4, 8), ratio=0.5, shared=4).eval().requires_grad_(False)
    for parameter in quantizer.parameters():
        parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    codes = quantizer.embedding.weight
    codes.copy_(0.4 * torch.randn(codes.shape, generator=generator))
    codes[:2] += common
    usage = torch.full((4, 128), 100.0)
    usage[0, 2:] = 0.0
    tokens = torch.randint(128, (32, 85), generator=generator)
    tokens[:, 0] = torch.randint(2, (32,), generator=generator)
    linear = multi_scale(quantizer)
    schedule = plan.Plan(linear, usage, f"common {common}").schedule(Budget().iterations_for(linear.offset.numel()))
    data = quantizer.lookup(tokens).flatten(1) - linear.offset - linear.synthesize(schedule.centre.unsqueeze(1))
    *_, belief = propagate(schedule, linear.codes, data, len(tokens))
    assert torch.equal(belief.likeliest(linear.codes).T, tokens)


@pytest.mark.parametrize("budget", [MODES_ONLY, SMALL, Budget(0, 4)])
def test_never_above_greedy(quantizer: MultiScaleQuantizer, tokens: Tensor, budget: Budget) -> None:
    on_code = quantizer.lookup(tokens[:4])
    f = torch.cat([noise(4), on_code, on_code + 0.3 * noise(4), torch.zeros_like(on_code[:1])])
    greedy, f_hat = quantizer(f)
    found = search(quantizer, f, budget)
    assert found.tokens.shape == greedy.shape
    assert found.tokens.dtype == torch.int64
    assert torch.equal(found.features, quantizer.lookup(found.tokens))
    same = (found.tokens == greedy).all(1)
    assert (same | (error(found.features, f) < error(f_hat, f))).all()


def test_an_image_does_not_depend_on_its_batch(quantizer: MultiScaleQuantizer, tokens: Tensor) -> None:
    f = quantizer.lookup(tokens) + 0.2 * noise(len(tokens))
    together = search(quantizer, f, SMALL).tokens
    assert torch.equal(search(quantizer, f.flip(0), SMALL).tokens.flip(0), together)
    assert torch.equal(torch.cat([search(quantizer, f[i : i + 1], SMALL).tokens for i in range(3)]), together[:3])


def test_batches_of_any_size_are_worked_on_in_one_shape(
    quantizer: MultiScaleQuantizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, refine = list[int](), search_module.refine

    def noted(plan: plan.Plan, y: Tensor, *args: object) -> Tensor:
        sizes.append(len(y))
        return refine(plan, y, *args)

    monkeypatch.setattr(search_module, "refine", noted)
    for count in (1, 33):
        search(quantizer, noise(count), MODES_ONLY)
    assert sizes == [16] * 4, "another shape may round otherwise"


def test_usage_of_codes_helps_under_noise(quantizer: MultiScaleQuantizer) -> None:
    usage = torch.zeros(len(PATCHES), CODES)
    usage[:, :8] = 1000
    tokens = torch.randint(8, (16, LENGTH), generator=torch.Generator().manual_seed(4))
    f = quantizer.lookup(tokens) + 0.4 * noise(16)
    informed, blind = (search(quantizer, f, Budget(20, 0), u).tokens for u in (usage, None))
    assert (informed == tokens).float().mean() > (blind == tokens).float().mean() + 0.04


def test_changed_weights_are_noticed(tokens: Tensor) -> None:
    quantizer, other = make_quantizer(), make_quantizer(5)
    search(quantizer, quantizer.lookup(tokens), Budget(8))
    quantizer.load_state_dict(other.state_dict())
    f = other.lookup(tokens)
    assert torch.equal(search(quantizer, f, Budget(8)).tokens, search(other, f, Budget(8)).tokens)


def test_threads_share_one_plan_and_find_the_same(tokens: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer, builds, start = make_quantizer(6), list[int](), Barrier(4)
    build = plan.build

    def counted(*args: object) -> object:
        builds.append(1)
        return build(*args)

    def find(part: Tensor) -> Tensor:
        start.wait()
        return search(quantizer, part, Budget(8)).tokens

    monkeypatch.setattr(plan, "build", counted)
    parts = quantizer.lookup(tokens).split(5)
    with ThreadPoolExecutor(4) as pool:
        together = torch.cat(list(pool.map(find, parts)))
    assert len(builds) == 1
    assert torch.equal(together, search(quantizer, torch.cat(parts), Budget(8)).tokens)


def test_schedules_are_kept_on_disk(tokens: Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "LARGE", 1)
    f, build, builds = make_quantizer(7).lookup(tokens), plan.build, list[int]()

    def counted(*args: object) -> object:
        builds.append(1)
        return build(*args)

    monkeypatch.setattr(plan, "build", counted)
    made = search(make_quantizer(7), f, Budget(8)).tokens
    (file,) = (tmp_path / "token_search").iterdir()
    assert torch.equal(search(make_quantizer(7), f, Budget(8)).tokens, made)
    assert len(builds) == 1, "equal weights read the file"
    search(make_quantizer(8), f, Budget(8))
    search(make_quantizer(7), f, Budget(9))
    assert len(builds) == 3, "other weights and budgets do not"
    whole = file.read_bytes()
    for broken in (whole[:1000], b"", whole[:-8] + bytes(8)):
        file.write_bytes(broken)
        assert torch.equal(search(make_quantizer(7), f, Budget(8)).tokens, made)
        assert file.read_bytes() == whole, "it is made anew, bit for bit"
    assert len(builds) == 6


def test_whether_a_schedule_is_kept_depends_on_its_size_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path))
    search(make_quantizer(9), noise(1), Budget(2))
    assert not list(tmp_path.iterdir()), "small ones never are"
    monkeypatch.setattr(store, "LARGE", DIM * PATCHES[-1] ** 2)
    search(make_quantizer(9), noise(1), Budget(2))
    assert len(list((tmp_path / "token_search").iterdir())) == 1, "large ones always are"


def test_large_maps_get_the_iterations_that_memory_allows() -> None:
    assert [Budget().iterations_for(n) for n in (512, 10_000, 2**20)] == [6, 4, 1]
    assert Budget(30).iterations_for(16 * 16 * 32) == 30
    assert MODES_ONLY.iterations_for(512) == 0


def test_wrong_shapes_are_named(quantizer: MultiScaleQuantizer) -> None:
    with pytest.raises(UserError, match=r"expected \(B, 8, 4, 4\)"):
        search(quantizer, torch.zeros(1, 8, 5, 5))
    with pytest.raises(UserError, match="usage has shape"):
        search(quantizer, torch.zeros(1, 8, 4, 4), usage=torch.ones(CODES))
    with pytest.raises(UserError, match="0 or more"):
        Budget(iterations=-1)
    with pytest.raises(UserError, match="at least one"):
        search(quantizer, torch.zeros(0, 8, 4, 4))
