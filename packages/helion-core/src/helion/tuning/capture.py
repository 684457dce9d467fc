"""What the user's host code hands to a launch, found by running it up to there with a launcher that only looks.

Host code runs once for all configs that differ in the grid and the launch options alone: the grid of another config is
evaluated over the values that were captured.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..emit.module import Generated
from ..emit.wrapper import KERNEL, LAUNCH, TORCH, UNITS, launch_call
from ..frontend.build import compile_like
from ..runtime.launching.device import multiprocessors
from ..syntax import compiled
from .arguments import copied


class _Captured(BaseException):
    """Ends the host function at its launch; no `except Exception` of the user's stops it."""


@dataclass(frozen=True)
class Launch:
    """Grid and arguments of one launch: tensors, then numbers."""

    grid: tuple[int, ...]
    values: tuple[Any, ...]


def run_host(generated: Generated, args: Sequence[Any]) -> Launch:
    """Runs the host code of `generated` on copies of `args` (where memory allows) up to its launch.

    Raises what the host code raises, and RuntimeError where it returns without a launch.
    """
    caught: list[Launch] = []

    def launcher(kernel: Any, grid: tuple[int, ...], *values: Any, **options: Any) -> None:
        caught.append(Launch(tuple(grid), values))
        raise _Captured

    function = compile_like(generated.host, generated.source, {})
    function.__kwdefaults__ = {KERNEL: None, LAUNCH: launcher, TORCH: torch, UNITS: multiprocessors}
    try:
        function(*_copies(args))
    except _Captured:
        return caught[0]
    raise RuntimeError("the host code returned without launching the kernel")


def _copies(args: Sequence[Any]) -> list[Any]:
    """Host code may write to its arguments before the launch, which must happen once, in the real call."""
    leaves, spec = tree_flatten(list(args))
    at = [k for k, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    try:
        for k, copy_ in zip(at, copied([leaves[k] for k in at]), strict=True):
            leaves[k] = copy_
    except (torch.OutOfMemoryError, NotImplementedError):  # tensors too large to copy, or without storage
        return list(args)
    return tree_unflatten(leaves, spec)


def host_shape(generated: Generated) -> str:
    """The host code without grid and options: configs with equal ones capture the same values."""
    host, call = generated.host, launch_call(generated.host)
    grid, keywords, arguments = call.args[1], call.keywords, host.args
    call.args[1], call.keywords = ast.Constant(None), []
    host.args = ast.arguments([*arguments.posonlyargs, *arguments.args], [], None, [], [], None, arguments.defaults)
    try:
        return ast.unparse(host)
    finally:
        call.args[1], call.keywords, host.args = grid, keywords, arguments


class Grids:
    """Evaluates the grids of other configs over the values of one captured launch, without holding its tensors."""

    def __init__(self, launch: Launch) -> None:
        tensors = [v for v in launch.values if isinstance(v, torch.Tensor)]
        self._units = multiprocessors(tensors[0]) if tensors else 0  # a launch is on one device
        self._values = [_stand_in(v) if isinstance(v, torch.Tensor) else v for v in launch.values]

    def __call__(self, generated: Generated) -> tuple[int, ...]:
        """The grid under the config of `generated`. Raises NameError for what was not captured."""
        call = launch_call(generated.host)
        known = {ast.dump(argument): f"_captured_{k}" for k, argument in enumerate(call.args[2:])}
        text = _Substitute(known).visit(copy.deepcopy(call.args[1]))
        names = {f"_captured_{k}": value for k, value in enumerate(self._values)}
        code = compiled(ast.fix_missing_locations(ast.Expression(text)), "<grid>", "eval")
        grid = eval(code, {**names, UNITS: lambda tensor: self._units, TORCH: torch})
        return tuple(int(n) for n in grid)


def _stand_in(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same layout, which grids ask for sizes, without memory."""
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")


class _Substitute(ast.NodeTransformer):
    """Names in place of expressions whose values are known."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known

    def visit(self, node: ast.AST) -> Any:
        name = self._known.get(ast.dump(node)) if isinstance(node, ast.expr) else None
        return ast.Name(name, ast.Load()) if name else self.generic_visit(node)
