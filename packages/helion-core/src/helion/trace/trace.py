"""Traces a kernel: fake arguments in, a program and what the wrapper needs out."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

import sympy
import torch
from torch.fx.experimental.symbolic_shapes import DimDynamic
from torch.utils._pytree import tree_map_only

from .. import exc, location
from ..frontend import engine
from ..internal import internal_errors
from ..ir import Baked, HostScalar, Program
from ..settings import Settings
from . import failures
from .dynamic import Sizes, checker, dynamic_like, tensors_of
from .engine import TracingEngine
from .fakes import Named, fake_mode
from .host_tensors import fake_like
from .places import Places
from .program import program_of
from .races import Race, find_races
from .settle import settle
from .specialized import describe
from .tracer import Tracer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Traced:
    """The result of one trace. `replacements`: host calls that only trace, by line and name, with the block numbers
    they stand for;
    `guards`: conditions on number arguments and sizes under which this trace holds, `symbols`: the Python expressions
    of what they name, `facts`: further conditions, as Python expressions of the `parameters`;
    `functions`: user functions that were inlined; `places`: what was decided where; `arguments`: what was specialised;
    `races`: stores by which programs race.
    """

    program: Program
    replacements: Mapping[tuple[int, str], Sequence[int | Baked | None]]
    guards: tuple[sympy.Basic, ...]
    symbols: Mapping[sympy.Symbol, str]
    functions: tuple[FunctionType, ...]
    places: Places
    arguments: tuple[dict[str, Any], ...] = ()
    parameters: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    scalars: tuple[HostScalar, ...] = ()
    races: tuple[Race, ...] = ()

    @cached_property
    def holds(self) -> Callable[..., bool]:
        """Whether this trace is that of a call with some arguments, among those with its key."""
        if not self.guards and not self.facts:
            return _always
        return checker(self.parameters, self.facts, self.guards, self.symbols)


def _always(*_: Any) -> bool:
    return True


def trace(
    function: FunctionType, name: str, args: Sequence[Any], settings: Settings, constants: set[str],
    tunables: Mapping[str, Any] | None = None,
) -> Traced:  # fmt: skip
    """Runs the rewritten `function` on stand-ins for `args`.

    `constants` names parameters that are baked in; `tunables` are values of the user's own choices.

    Raises errors of the catalogue, placed at the user's line; exceptions of the user's own code pass through.
    """
    chosen = (function, name, args, settings, constants, tunables)
    if settings.static_shapes:
        return _trace(*chosen, Sizes())
    return _dynamic_trace(chosen, args)


def _dynamic_trace(chosen: tuple[Any, Any, Any, Any, Any, Any], args: Sequence[Any]) -> Traced:
    """The trace that serves most calls: of all sizes; else of those that are 0 and 1 fixed; else of all dimensions
    fixed that are taken in whole, where an operation has no meaning for others.
    """
    sizes = Sizes(generic=any(size <= 1 for a in args for _, t in tensors_of(a, "") for size in t.shape))
    if sizes.generic:
        try:
            traced = _trace(*chosen, sizes)
            if traced.holds(*args):
                return traced
        except Exception as error:
            _log.debug("%s: sizes of 0 and 1 matter: %s", chosen[1], error)
    sizes = Sizes()
    try:
        return _trace(*chosen, sizes)
    except exc.Base as error:
        if not sizes.whole:
            raise
        fixed = Sizes(fixed=frozenset(sizes.whole))
        _log.debug("%s: %s matter: %s", chosen[1], ", ".join(fixed.fixed), error)
    return _trace(*chosen, fixed)


def _trace(
    function: FunctionType, name: str, args: Sequence[Any], settings: Settings, constants: set[str],
    tunables: Mapping[str, Any] | None, sizes: Sizes,
) -> Traced:  # fmt: skip
    code = function.__code__
    tracer = TracingEngine(name, settings, location.Location(code.co_filename, code.co_firstlineno), tunables)
    tracer.whole = sizes.whole
    parameters = list(inspect.signature(function).parameters)
    with tracer.fake_mode:
        stand_ins = [_stand_in(tracer, p, a, p in constants, sizes) for p, a in zip(parameters, args, strict=True)]
    arguments = describe(parameters, stand_ins, args, constants)
    try:
        with engine.activate(tracer), tracer.running():
            function(*stand_ins)
        with internal_errors(f"finishing the trace of `{name}`"):
            program = program_of(tracer)
            races = find_races(program, tracer.memory, tracer.in_this_call)
            conditions = () if settings.static_shapes else settle(tracer, program)
    except Exception as error:
        told = failures.host_error(tracer, error)
        cause = error.__cause__ if told is error else error
        raise told.with_traceback(location.trim(error.__traceback__)) from cause
    tracer.places.rows = tracer.jagged_rows()
    guards = (*(g.expr for g in tracer.env.guards if not tracer.env.is_device(g.expr)), *conditions)
    return Traced(
        program, dict(tracer.replacements), tuple(g for g in dict.fromkeys(guards) if g is not sympy.true),
        {symbol: scalar.source for symbol, scalar in tracer.host_scalars.items()}, tuple(tracer.inlined),
        tracer.places, arguments, tuple(parameters), tuple(tracer.facts),
        tuple(tracer.host_scalars.values()), races,
    )  # fmt: skip


def _stand_in(tracer: Tracer, name: str, value: Any, constant: bool, sizes: Sizes) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not constant:
        return _number(tracer, name, value)
    if tracer.settings.static_shapes:
        return tree_map_only(torch.Tensor, lambda t: fake_like(tracer, t), value)
    return _dynamic(tracer, name, value, sizes)


def _dynamic(tracer: Tracer, source: str, value: Any, sizes: Sizes) -> Any:
    """`value` with symbols for the sizes of its tensors; what only attributes reach keeps its numbers."""
    sources = {id(tensor): where for where, tensor in tensors_of(value, source)}

    def stand_in(tensor: torch.Tensor) -> torch.Tensor:
        where = sources.get(id(tensor))
        return fake_like(tracer, tensor) if where is None else dynamic_like(tracer, tensor, where, sizes)

    return tree_map_only(torch.Tensor, stand_in, value)


def _number(tracer: Tracer, name: str, value: int | float) -> Any:
    """A number argument as a symbol: one compiled kernel serves all its values."""
    env, source = tracer.env, Named(name)
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
    tracer.actual[symbol] = value  # type: ignore[index]
    return result


def hollow(args: Sequence[Any]) -> list[Any]:
    """`args` with tensors that have no storage: what another trace needs, without keeping memory alive."""
    mode = fake_mode()

    def stand_in(tensor: torch.Tensor) -> torch.Tensor:
        with mode:
            return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device)

    return [tree_map_only(torch.Tensor, stand_in, a) for a in args]
