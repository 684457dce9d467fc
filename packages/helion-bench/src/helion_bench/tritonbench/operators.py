"""How our functions take part in tritonbench's operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from ..errors import InvalidRequest

ROWS = 8  # of inputs that are cut for the interpreter

Inputs = tuple[Any, ...]


@dataclass(frozen=True)
class Adapter:
    """One operator. `operator` is tritonbench's name, `op` that of our operation, `function` ours.

    `call(function, operator, inputs)` computes one result; with `torch_function` and inputs in float64, the truth.
    Without a GPU, `cpu_arguments` and `cut` make the inputs small enough for Triton's interpreter. On a GPU, every
    `stride`-th input is taken, and fewer where the run is quick.
    """

    operator: str
    op: str
    function: str
    torch_function: Callable[..., Any]
    call: Callable[[Any, Any, Inputs], Any]
    stride: int = 1
    cpu_arguments: tuple[str, ...] = ()
    cut: Callable[[Inputs], Inputs] = lambda inputs: inputs


def _softmax(function: Any, operator: Any, inputs: Inputs) -> Any:
    return function(inputs[0], -1)


def _layer_norm(function: Any, operator: Any, inputs: Inputs) -> Any:
    return function(*inputs)


def _gemm(function: Any, operator: Any, inputs: Inputs) -> Any:
    a, b, bias = inputs
    return function(a, b) if bias is None else function(a, b) + bias


def _attention(function: Any, operator: Any, inputs: Inputs) -> Any:
    return function(*inputs, is_causal=operator.causal, scale=operator.sm_scale)


def _exact_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **how: Any) -> torch.Tensor:
    """Head by head: the scores of all heads at once are too large in float64."""
    heads = zip(*(t.flatten(0, 1).split(1) for t in (q, k, v)), strict=True)
    exact = torch.cat([F.scaled_dot_product_attention(*head, **how) for head in heads])
    return exact.reshape(*q.shape[:-1], v.size(-1))


def _first_rows(inputs: Inputs) -> Inputs:
    return (inputs[0][:ROWS].detach(), *inputs[1:])


ADAPTERS: Mapping[str, Adapter] = {
    adapter.operator: adapter
    for adapter in (
        Adapter(
            "softmax", "softmax", "helion_kernels:softmax", torch.softmax, _softmax, stride=20, cut=_first_rows
        ),
        Adapter(
            "layer_norm", "layer_norm", "helion_kernels:layer_norm", F.layer_norm, _layer_norm, stride=6,
            cut=_first_rows,
        ),
        Adapter(
            "gemm", "matmul", "helion_kernels:matmul", torch.matmul, _gemm, stride=6,
            cpu_arguments=("--m", "64", "--n", "48", "--k", "32"),
        ),
        Adapter(
            "flash_attention", "attention", "helion_kernels:attention", _exact_attention, _attention,
            stride=2, cpu_arguments=("--batch", "1", "--n-heads", "2", "--seq-len", "64", "--d-head", "32"),
        ),
    )
}  # fmt: skip


def wide(inputs: Inputs) -> Inputs:
    """Inputs in float64, without gradients."""
    return tuple(x.detach().double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in inputs)


def chosen(names: tuple[str, ...]) -> list[Adapter]:
    """The adapters of operators, by their names or those of our operations; all for no name.

    Names of neither are passed over. Raises InvalidRequest if nothing is left.
    """
    found = [a for a in ADAPTERS.values() if not names or a.operator in names or a.op in names]
    if not found:
        known = [f"{a.operator} ({a.op})" if a.op != a.operator else a.operator for a in ADAPTERS.values()]
        raise InvalidRequest(f"tritonbench's {', '.join(names)} has no adapter here", known=known)
    return found
