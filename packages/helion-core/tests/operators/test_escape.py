"""Escape hatches and debugging: inline Triton, Triton functions, inline assembly, printing, assertions; compilation
for GPUs.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton
import triton.language as tl

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import parse_target

ROWS = helion.Config(block_sizes=[16])


@helion.kernel(config=ROWS)
def inline_lines(x, out):
    for tile in hl.tile(x.size(0)):
        v = x[tile, :]
        out[0, tile, :] = hl.inline_triton("{0} * {1} + 1", (v, 3.0), v)
        out[1, tile, :] = hl.inline_triton(
            """
            twice = {v} + {v}
            twice - {k}
            """,
            {"v": v, "k": 2},
            output_like=v,
        )
        low, high = hl.inline_triton("{0} - 1, {0} + 1", [v], (v, v))
        out[2, tile, :] = low * high


def test_inline_triton() -> None:
    x, out = torch.randn(21, 5), torch.empty(3, 21, 5)
    inline_lines(x, out)
    torch.testing.assert_close(out, torch.stack([x * 3 + 1, 2 * x - 2, (x - 1) * (x + 1)]))


SCALE = tl.constexpr(3.0)


@triton.jit
def plus_one(x):
    return x + 1


@triton.jit
def scaled_plus_one(x, y):
    return plus_one(x) * y * SCALE


@helion.kernel(config=ROWS)
def call_functions(x, out):
    for tile in hl.tile(x.size(0)):
        v = x[tile, :]
        out[0, tile, :] = hl.triton_kernel(scaled_plus_one, (v, v), v)
        out[1, tile, :] = hl.triton_kernel("def negated(x):\n    return -x", [v], output_like=v)
        out[2, tile, :] = hl.triton_kernel(scaled_plus_one, {"y": 2.0, "x": v}, v)


def test_triton_functions() -> None:
    x, out = torch.randn(21, 5), torch.empty(3, 21, 5)
    call_functions(x, out)
    torch.testing.assert_close(out, torch.stack([(x + 1) * x * 3, -x, (x + 1) * 6]))


@helion.kernel(config=ROWS)
def assembly(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [x[tile]], torch.float32)


def test_assembly_reaches_ptx() -> None:
    bound = assembly.bind((torch.randn(21), torch.empty(21)))
    assert "tl.inline_asm_elementwise('ex2.approx.ftz.f32 $0, $1;'" in bound.to_triton_code()
    assert bound.compile_for(parse_target("sm_90")).code_size > 0


@helion.kernel(config=ROWS)
def printing(x, out):
    for tile in hl.tile(x.size(0)):
        v = x[tile] + 1
        print("value is", v)
        hl.device_print("again", v)
        print("while tracing", 3)
        out[tile] = v


def test_printing(capsys: pytest.CaptureFixture[str]) -> None:
    out = torch.empty(3)
    printing(torch.tensor([1.0, 2.0, 41.5]), out)
    text = capsys.readouterr().out
    assert "value is" in text
    assert "again" in text
    assert "42.5" in text
    assert text.count("while tracing 3") == 1
    assert "tl.device_print('value is', v)" in printing.bind((torch.empty(3), out)).to_triton_code()


@helion.kernel(config=ROWS)
def printing_shapes(x, n: int):
    for tile in hl.tile(x.size(0)):
        print(x[tile, :].shape, n)
        x[tile, :] = 0


def test_shapes_are_printed_in_names_of_the_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    printing_shapes.bind((torch.empty(3, 5), 4))
    assert capsys.readouterr().out == "torch.Size([BLOCK_TILE, 5]) n\n"


@helion.kernel(config=ROWS)
def asserting(x, out):
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        assert (v > 0).all(), "must be positive"
        out[tile] = v


def test_device_assertion() -> None:
    x, out = torch.rand(21) + 1, torch.empty(21)
    asserting(x, out)
    assert torch.equal(out, x)
    x[20] = -1
    with pytest.raises(exc.KernelRunFailed, match="must be positive"):
        asserting(x, out)


# --- refused


@helion.kernel(config=ROWS)
def missing_placeholder(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.inline_triton("{0} + {1}", (x[tile],), x[tile])


@helion.kernel(config=ROWS)
def broken_triton(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.inline_triton("{0} +", (x[tile],), x[tile])


@helion.kernel(config=ROWS)
def text_without_function(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.triton_kernel("x + 1", (x[tile],), x[tile])


@pytest.mark.parametrize("kernel", [missing_placeholder, broken_triton, text_without_function])
def test_refused(kernel: Any) -> None:
    with pytest.raises(exc.UnsupportedOperation) as caught:
        kernel(torch.empty(21), torch.empty(21))
    assert caught.value.location.line == kernel.fn.__code__.co_firstlineno + 3
