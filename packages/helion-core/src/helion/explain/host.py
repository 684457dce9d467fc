"""Running a kernel's host code without launching anything: on tensors without data, of any size."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..emit.wrapper import KERNEL, LAUNCH, TORCH, UNITS, launch_call
from ..frontend.build import compile_like

if TYPE_CHECKING:
    from ..emit.module import Generated


@dataclass(frozen=True)
class Unlaunched:
    """What the host code returned, and the grid it would have launched."""

    result: Any
    grid: tuple[int, ...]


def run_host(generated: Generated, args: Sequence[Any], multiprocessors: int) -> Unlaunched:
    """Runs the host code as on a GPU with so many multiprocessors. Raises what it raises."""
    grids: list[tuple[int, ...]] = []

    def launch(kernel: Any, grid: tuple[int, ...], *values: Any, **options: Any) -> None:
        grids.append(tuple(map(int, grid)))

    host = copy.deepcopy(generated.host)
    call = launch_call(host)
    call.args[1] = ast.fix_missing_locations(_OnGpu().visit(call.args[1]))
    function = compile_like(host, generated.source, {})
    function.__kwdefaults__ = {KERNEL: None, LAUNCH: launch, TORCH: torch, UNITS: lambda tensor: multiprocessors}
    result = function(*args)
    return Unlaunched(result, grids[0] if grids else (0,))


class _OnGpu(ast.NodeTransformer):
    """Grids that ask whether a tensor is on a GPU are told that it is."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.copy_location(ast.Constant(True), node) if node.attr == "is_cuda" else node
