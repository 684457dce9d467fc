"""Traces a kernel: fake arguments in, a program and what the wrapper needs out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import sympy
import torch
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic
from torch.utils._pytree import tree_map_only

from .. import location
from ..frontend import engine
from ..internal import internal_errors
from ..ir import Baked, HostScalar, Program
from ..settings import Settings
from . import failures
from .indexing import fake_like
from .places import Places
from .specialized import describe
from .tracer import Tracer


@dataclass(frozen=True)
class Traced:
    """The result of one trace. `replacements`: host calls that only trace, by line and name, with the block numbers
    they stand for;
    `guards`: conditions on the values of number arguments under which this trace holds;
    `functions`: user functions that were inlined; `places`: what was decided where; `arguments`: what was specialised.
    """

    program: Program
    replacements: Mapping[tuple[int, str], Sequence[int | Baked | None]]
    guards: tuple[sympy.Basic, ...]
    symbols: Mapping[sympy.Symbol, str]
    functions: tuple[FunctionType, ...]
    places: Places
    arguments: tuple[dict[str, Any], ...] = ()


def trace(
    function: FunctionType, name: str, args: Sequence[Any], settings: Settings, constants: set[str],
    tunables: Mapping[str, Any] | None = None,
) -> Traced:  # fmt: skip
    """Runs the rewritten `function` on stand-ins for `args`.

    `constants` names parameters that are baked in; `tunables` are values of the user's own choices.

    Raises errors of the catalogue, placed at the user's line; exceptions of the user's own code pass through.
    """
    code = function.__code__
    tracer = Tracer(name, settings, location.Location(code.co_filename, code.co_firstlineno), tunables)
    parameters = list(inspect.signature(function).parameters)
    symbols: dict[sympy.Symbol, str] = {}
    with tracer.fake_mode:
        stand_ins = [_stand_in(tracer, p, a, p in constants, symbols) for p, a in zip(parameters, args, strict=True)]
    arguments = describe(parameters, stand_ins, args, constants)
    try:
        with engine.activate(tracer), tracer.running():
            function(*stand_ins)
        with internal_errors(f"finishing the trace of `{name}`"):
            program = tracer.program()
    except Exception as error:
        told = failures.host_error(error)
        cause = error.__cause__ if told is error else error
        raise told.with_traceback(location.trim(error.__traceback__)) from cause
    tracer.places.rows = tracer.jagged_rows()
    guards = tuple(g.expr for g in tracer.env.guards if not tracer.env.is_device(g.expr))
    return Traced(program, dict(tracer.replacements), guards, symbols, tuple(tracer.inlined), tracer.places, arguments)


def _stand_in(tracer: Tracer, name: str, value: Any, constant: bool, symbols: dict[sympy.Symbol, str]) -> Any:
    if isinstance(value, torch.Tensor):
        return fake_like(tracer, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not constant:
        return _number(tracer, name, value, symbols)
    return tree_map_only(torch.Tensor, lambda t: fake_like(tracer, t), value)


def _number(tracer: Tracer, name: str, value: int | float, symbols: dict[sympy.Symbol, str]) -> Any:
    """A number argument as a symbol: one compiled kernel serves all its values."""
    env, source = tracer.env, ConstantSource(name)
    if isinstance(value, float):
        symbol = env.create_unspecified_symbol(value, source, DimDynamic.DYNAMIC)
        result: Any = env.create_symfloatnode(symbol, hint=value, source=source)
    else:
        symbol = env.create_symbol(
            value, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None, positive=None,
            do_not_specialize_zero_one=True,
        )  # fmt: skip
        result = env.create_symintnode(symbol, hint=value)
    scalar = HostScalar(name, name, symbol, isinstance(value, float))  # type: ignore[arg-type]
    tracer.host_scalars[symbol] = scalar  # type: ignore[index]
    tracer.symbols[symbol] = scalar  # type: ignore[index]
    symbols[symbol] = name  # type: ignore[index]
    return result


def hollow(args: Sequence[Any]) -> list[Any]:
    """`args` with tensors that have no storage: what another trace needs, without keeping memory alive."""
    mode = FakeTensorMode()

    def stand_in(tensor: torch.Tensor) -> torch.Tensor:
        with mode:
            return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device)

    return [tree_map_only(torch.Tensor, stand_in, a) for a in args]
