"""Rows that begin at any element, taken apart: every element once, none of another row, in loads of 16 bytes."""

from __future__ import annotations

import re

import pytest
import torch
import triton

import helion
import helion.language as hl
from helion.runtime.targets import parse_target
from helion_kernels import log_softmax, softmax
from helion_kernels.frame import vectors as module
from helion_kernels.frame.vectors import LANES, LONGEST_BY_ELEMENTS, SHORTEST, as_vectors, ends, whole_vectors
from helion_kernels.testing import TOLERANCES, assert_close, check, specialised

FUNCTIONS = pytest.mark.parametrize("function", [softmax, log_softmax], ids=lambda f: f.__name__)
INF, NAN = float("inf"), float("nan")


@helion.kernel(config=helion.Config(block_sizes=[2]), static_shapes=False)
def visited(x: torch.Tensor) -> None:
    """Adds the number of its row and 65 to every element, as often as a row takes it for its own."""
    m, n, stride = x.size(0), hl.specialize(x.size(1)), hl.specialize(x.stride(0))
    vectors = as_vectors(x)
    block = hl.register_block_size(16)
    for row in hl.grid(m):
        begin, end = whole_vectors(row, stride, n)
        column, inside = ends(row, stride, n)
        hl.atomic_add(x, [row, torch.where(inside, column, 0)], torch.where(inside, row + 65, 0).to(torch.int32))
        for part in hl.tile(begin, end, block_size=block):
            hl.atomic_add(vectors, [part, slice(None)], row + 65)


@pytest.mark.parametrize("n", [*range(SHORTEST, SHORTEST + LANES + 1), 31, 33, 100])
@pytest.mark.parametrize("gap", [0, 3, LANES])
def test_every_element_is_visited_by_its_row_once(n, gap):
    m, stride = 10, n + gap
    memory = torch.zeros(LANES + m * stride + LANES, dtype=torch.int32)
    x = memory[LANES:].as_strided((m, n), (stride, 1))
    visited(x)
    assert torch.equal(x, torch.arange(m, dtype=torch.int32)[:, None].expand(m, n) + 65)
    x.zero_()
    assert memory.eq(0).all()


@FUNCTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n", [LONGEST_BY_ELEMENTS + 1, LONGEST_BY_ELEMENTS + 6, 3 * LONGEST_BY_ELEMENTS - 1])
def test_values_and_gradients(function, dtype, n):
    check(function, (3 * torch.randn(9, n)).to(dtype).requires_grad_(), -1)
    check(function, (3 * torch.randn(1, n)).to(dtype).requires_grad_(), -1)


@pytest.fixture
def short(monkeypatch):
    """Rows of 17 elements are taken apart."""
    monkeypatch.setattr(module, "LONGEST_BY_ELEMENTS", SHORTEST)


@FUNCTIONS
def test_views_at_any_place_of_their_memory(function, short):
    """The last row ends with the memory, the first one begins with it, and what lies around would be seen."""
    memory = torch.full((12 * 37 + 3,), NAN, dtype=torch.bfloat16)
    for begin in range(4):
        rows = memory[begin:][: 12 * 37].view(12, 37)
        rows.copy_(torch.randn(12, 37))
        for view in (rows[2:-1], rows[:, 1:], rows[:, :-2], rows[1::3, 3:30], rows.t()[:12, :]):
            check(function, view.detach().requires_grad_(), -1)
        memory.fill_(NAN)


@FUNCTIONS
def test_neighbours_do_not_meet(function, short, interpret):
    """Rows of NaN and infinities beside ordinary ones: vectors that two rows share hold both."""
    x = torch.randn(24, 19)
    x[1], x[4, 0], x[6, -1], x[9, 5], x[11], x[13, -1], x[15, 0] = NAN, NAN, NAN, NAN, -INF, INF, INF
    x[17, 1:], x[19, :-1], x[21, 3:] = -INF, -INF, -INF
    check(function, x, -1)
    ordinary = x.isfinite().all(1)
    assert ordinary.sum() == 14 and function(x, -1)[ordinary].isfinite().all()
    extreme = torch.tensor([3e37, -3e37, 0.0]).repeat(3, 7)
    check(function, extreme, -1)


@FUNCTIONS
def test_gradients_that_are_no_rows_of_their_own(function, short, interpret):
    x = torch.randn(5, 21, dtype=torch.float64)
    ours = x.float().requires_grad_()
    x.requires_grad_()
    for make in (lambda t: t.sum(), lambda t: t[:, 1:].square().sum(), lambda t: t.t()[3].sum()):
        (found,) = torch.autograd.grad(make(function(ours, -1)), ours)
        (wanted,) = torch.autograd.grad(make(function(x, -1)), x)
        assert (found - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_results_of_another_dtype(dtype, short):
    x = torch.randn(6, 27, dtype=torch.bfloat16, requires_grad=True)
    out = check(softmax, x, -1, dtype, tolerance=1.6e-2, reference=lambda t, *_: softmax(t, -1))
    assert out.dtype is dtype and out.is_contiguous()


REGISTERS_KNOWN = triton.__version__.startswith(("3.6.", "3.7.", "3.8."))  # the assembler of 3.9 spills a few bytes
WIDE = {  # sample calls: kernels, and how many loads and stores of one element each has
    ("softmax", (512, 50257)): {"softmax_vectors": 1 + 1, "softmax_vectors_backward": 2 + 1},
    ("softmax", (512, 32001)): {"softmax_vectors": 1 + 1, "softmax_vectors_backward": 2 + 1},
    ("cross_entropy", (512, 50257)): {"losses_vectors": 2, "losses_vectors_backward": 1 + 1},
    ("linear_cross_entropy", (512, 64, 50257)): {"losses_vectors": 2, "losses_vectors_backward": 1 + 1},
}


@pytest.mark.parametrize(("call", "kernels"), WIDE.items())
def test_loads_and_stores_are_16_bytes_wide(call, kernels):
    """But those of both ends, and of the label's logit; for an H100, where nothing spills."""
    target = parse_target("sm_90")
    rows = [made for made in specialised(*call, torch.bfloat16) if "columns" not in made.bound.kernel.name]
    assert {made.bound.kernel.name for made in rows} == kernels.keys()
    for made in rows:
        config = made.config(target)
        compiled = made.bound._compile(made.bound.generate(config, target), target)
        widths = re.findall(r"(?:ld|st)\.global\S*?((?:\.v4)?\.b\d+) ", compiled.asm["ptx"])
        assert widths.count(".b16") == kernels[made.bound.kernel.name] and ".v4.b32" in widths
        assert made.bound.compile_for(target, config).spills == 0 or not REGISTERS_KNOWN


@pytest.mark.gpu
@FUNCTIONS
@pytest.mark.parametrize("n", [LONGEST_BY_ELEMENTS + 1, 32001, 50257])
def test_on_a_gpu(function, n):
    """Rows that begin and end with their memory, and rows of a larger memory, whose begin is aligned or is not."""
    memory = torch.randn(300, n, device="cuda", dtype=torch.bfloat16)
    for rows in (memory, memory[1:], memory[8:-3]):
        x = rows.detach().requires_grad_()
        exact = rows.double().requires_grad_()
        seed = torch.randn_like(rows)
        out, expected = function(x, -1), getattr(torch, function.__name__)(exact, -1)
        assert_close(out, expected, TOLERANCES[torch.bfloat16])
        (found,), (wanted,) = torch.autograd.grad(out, x, seed), torch.autograd.grad(expected, exact, seed.double())
        assert_close(found, wanted, 2 * TOLERANCES[torch.bfloat16])  # of a result that is rounded itself
