"""Gated linear units (Shazeer, "GLU variants improve transformer", 2020): y = f(gate) * up.

swiglu: f(a) = a * s with s = sigmoid(a), f'(a) = s * (1 + a * (1 - s)).
geglu: f(a) = a * Phi(a) with Phi(a) = (1 + erf(a / sqrt(2))) / 2, f'(a) = Phi(a) + a * exp(-a^2 / 2) / sqrt(2 pi);
or its tanh form, f(a) = a * (1 + t) / 2 with t = tanh(sqrt(2 / pi) * (a + 0.044715 * a^3)).

torch has no such function; `silu(gate) * up` and `gelu(gate) * up` are the same. dgate = dy * up * f'(gate),
dup = dy * f(gate); nothing but the inputs is kept. Deterministic: elementwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.samples import Shape, randn

SMALL: Shape = (7, 24)
SHAPES: tuple[Shape, ...] = ((8192, 4096), (8192, 11008), (8192, 14336), (4096, 28672), (64, 14336))

ROW, LEAST_ROW = 4096, 64  # elements: a tile, and a few whole vectors of 16 bytes

_ROOT = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _activation(a: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "silu":
        return a * torch.sigmoid(a)
    if kind == "gelu":
        return 0.5 * a * (1 + torch.erf(a * math.sqrt(0.5)))
    return 0.5 * a * (1 + torch.tanh(_ROOT * (a + _CUBIC * a * a * a)))


def _slope(a: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "silu":
        s = torch.sigmoid(a)
        return s * (1 + a * (1 - s))
    if kind == "gelu":
        return 0.5 * (1 + torch.erf(a * math.sqrt(0.5))) + a * torch.exp(-0.5 * a * a) * (1 / math.sqrt(2 * math.pi))
    tanh = torch.tanh(_ROOT * (a + _CUBIC * a * a * a))
    return 0.5 * (1 + tanh) + 0.5 * a * (1 - tanh * tanh) * _ROOT * (1 + 3 * _CUBIC * a * a)


def _one_vector(*_: Any) -> dict[str, Any]:
    """8 elements a thread, 16 bytes of each tensor, instead of 32: up to 1 % faster on an H100 than 16. The error
    function takes so many registers that with 32, a multiprocessor would be left with 28 of 64 warps, backward 16.
    """
    return {"num_warps": 16}


@kernel("swiglu", prefer=_one_vector, static_shapes=False)
def gated_rows(gate: torch.Tensor, up: torch.Tensor, out: torch.Tensor, kind: str) -> None:
    """Writes f(gate) * up to `out`; all are [m, n]."""
    m, n = out.size(0), hl.specialize(out.size(1))
    hl.specialize([gate.stride(0), up.stride(0)])  # of halves: twice their width, known to be aligned
    for tile in hl.tile([m, n]):
        out[tile] = _activation(gate[tile].to(torch.float32), kind) * up[tile].to(torch.float32)


@kernel("swiglu", prefer=_one_vector, static_shapes=False)
def gated_rows_backward(
    grad: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, dgate: torch.Tensor, dup: torch.Tensor, kind: str
) -> None:
    """Writes dgate and dup; all are [m, n]."""
    m, n = grad.size(0), hl.specialize(grad.size(1))
    hl.specialize([gate.stride(0), up.stride(0), dgate.stride(0), dup.stride(0)])
    for tile in hl.tile([m, n]):
        g, a = grad[tile].to(torch.float32), gate[tile].to(torch.float32)
        dgate[tile] = g * up[tile].to(torch.float32) * _slope(a, kind)
        dup[tile] = g * _activation(a, kind)


def _matrices(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """The tensors as matrices of equal shape. Results come as views, since they are contiguous.

    Where all are contiguous, rows are as long as a power of two that divides the last dimension, so that tiles of
    several rows have no remainder and the kernel serves any number of them.
    """
    n = tensors[0].size(-1)
    power = min(n & -n, ROW)
    width = power if power >= LEAST_ROW and all(t.is_contiguous() for t in tensors) else n
    return [t if t.dim() == 2 and width == n else t.reshape(-1, width) for t in tensors]


# --- operators: gate and up apart, or side by side in one tensor


def _apart(gate: torch.Tensor, up: torch.Tensor, kind: str) -> torch.Tensor:
    out = _fake_apart(gate, up, kind)
    if out.numel():
        gated_rows(*_matrices(gate, up, out), kind)
    return out


def _fake_apart(gate: torch.Tensor, up: torch.Tensor, kind: str) -> torch.Tensor:
    return torch.empty(gate.size(), dtype=gate.dtype, device=gate.device)


def _apart_backward(
    grad: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, kind: str
) -> tuple[torch.Tensor, torch.Tensor]:
    dgate, dup = _fake_apart_backward(grad, gate, up, kind)
    if grad.numel():
        gated_rows_backward(*_matrices(grad, gate, up, dgate, dup), kind)
    return dgate, dup


def _fake_apart_backward(
    grad: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, kind: str
) -> tuple[torch.Tensor, torch.Tensor]:
    dgate = torch.empty(gate.size(), dtype=gate.dtype, device=gate.device)
    return dgate, torch.empty_like(dgate)


def _save_apart(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    gate, up, ctx.kind = inputs
    ctx.save_for_backward(gate, up)


def _gradients_apart(ctx: Any, grad: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return None, None, None
    return *gated_backward_op(grad, *ctx.saved_tensors, ctx.kind), None


def _halves(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    n = x.size(-1) // 2
    return x[..., :n], x[..., n:]


def _beside(x: torch.Tensor, kind: str) -> torch.Tensor:
    out = _fake_beside(x, kind)
    if out.numel():
        rows = x.reshape(-1, x.size(-1))
        gated_rows(*_halves(rows), out.view(-1, out.size(-1)), kind)
    return out


def _fake_beside(x: torch.Tensor, kind: str) -> torch.Tensor:
    return torch.empty((*x.shape[:-1], x.size(-1) // 2), dtype=x.dtype, device=x.device)


def _beside_backward(grad: torch.Tensor, x: torch.Tensor, kind: str) -> torch.Tensor:
    dx = _fake_beside_backward(grad, x, kind)
    if grad.numel():
        rows, changes = x.reshape(-1, x.size(-1)), dx.view(-1, x.size(-1))
        gated_rows_backward(grad.reshape(-1, grad.size(-1)), *_halves(rows), *_halves(changes), kind)
    return dx


def _fake_beside_backward(grad: torch.Tensor, x: torch.Tensor, kind: str) -> torch.Tensor:
    return torch.empty(x.size(), dtype=x.dtype, device=x.device)


def _save_beside(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, ctx.kind = inputs
    ctx.save_for_backward(x)


def _gradients_beside(ctx: Any, grad: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return None, None
    return gated_halves_backward_op(grad, *ctx.saved_tensors, ctx.kind), None


gated_op = operator(
    "gated(Tensor gate, Tensor up, str kind) -> Tensor", _apart, _fake_apart, _gradients_apart, _save_apart
)
gated_backward_op = operator(
    "gated_backward(Tensor grad, Tensor gate, Tensor up, str kind) -> (Tensor, Tensor)",
    _apart_backward, _fake_apart_backward,
)  # fmt: skip
gated_halves_op = operator(
    "gated_halves(Tensor x, str kind) -> Tensor", _beside, _fake_beside, _gradients_beside, _save_beside
)
gated_halves_backward_op = operator(
    "gated_halves_backward(Tensor grad, Tensor x, str kind) -> Tensor", _beside_backward, _fake_beside_backward
)


# --- functions


def swiglu(gate: torch.Tensor, up: torch.Tensor | None = None) -> torch.Tensor:
    """silu(gate) * up, elementwise.

    gate, up: of one shape and dtype. Without `up`, the last dimension of `gate` holds both, the gate on the left.
    """
    return _gated("swiglu", gate, up, "silu")


def geglu(gate: torch.Tensor, up: torch.Tensor | None = None, approximate: str = "none") -> torch.Tensor:
    """gelu(gate, approximate) * up, elementwise; `approximate` is `none` or `tanh`, as in torch's gelu.

    gate, up: of one shape and dtype. Without `up`, the last dimension of `gate` holds both, the gate on the left.
    """
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    if approximate not in kinds:
        raise ValueError(f"geglu: approximate={approximate!r} is not allowed; allowed: 'none', 'tanh'")
    return _gated("geglu", gate, up, kinds[approximate])


def _gated(op: str, gate: torch.Tensor, up: torch.Tensor | None, kind: str) -> torch.Tensor:
    if up is None and (gate.dim() == 0 or gate.size(-1) % 2):
        raise ValueError(f"{op}: without `up`, the last dimension must be even; the shape is {tuple(gate.shape)}")
    fits = up is None or (gate.shape == up.shape and gate.dtype is up.dtype and gate.dim() > 0)
    if not fits or not usable(op, gate, up):
        left, right = _halves(gate) if up is None else (gate, up)
        return _by_torch(left, kind) * right
    return gated_halves_op(gate, kind) if up is None else gated_op(gate, up, kind)


def _by_torch(a: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "silu":
        return torch.nn.functional.silu(a)
    return torch.nn.functional.gelu(a, approximate="tanh" if kind == "gelu_tanh" else "none")


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, columns of the result."""
    m, n = shape
    yield Call("swiglu", swiglu, (randn(shape, dtype, device), randn(shape, dtype, device)))
    yield Call("swiglu, halves", swiglu, (randn((m, 2 * n), dtype, device),))
    yield Call("geglu", geglu, (randn(shape, dtype, device), randn(shape, dtype, device)))
    yield Call(
        "geglu, tanh", geglu, (randn(shape, dtype, device), randn(shape, dtype, device)), {"approximate": "tanh"}
    )
