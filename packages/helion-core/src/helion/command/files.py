"""Kernels of a file, and the calls that the file says are typical of them.

A file may define `typical(device, dtype)`, either parameter left out where it is not needed, which yields pairs of a
function and its arguments, or objects with `run` and `args`:

    def typical(device, dtype):
        yield matmul, (torch.empty(4096, 4096, device=device, dtype=dtype), ...)

The functions are kernels or call kernels. They are called on tensors without data, so sizes cost nothing.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch

from .. import exc
from ..explain.host import run_host
from ..runtime.bound import BoundKernel
from ..runtime.kernel import Kernel
from ..runtime.targets import Target

TYPICAL = "typical"


@dataclass(frozen=True)
class Call:
    """A call of a kernel, its tensors without data."""

    bound: BoundKernel
    args: tuple[Any, ...]


def load_file(path: Path) -> ModuleType:
    """Runs the file as a module. Raises `CommandFailed`; what the file raises passes through."""
    if not path.is_file():
        raise exc.CommandFailed(problem=f"there is no file `{path}`", instead="name a Python file with kernels")
    name = f"helion_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise exc.CommandFailed(problem=f"`{path}` is no Python file", instead="name a file that ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent.absolute()))
    return module


def kernels(module: ModuleType) -> dict[str, Kernel]:
    """The kernels that the file defines, by name. Raises `CommandFailed` where there are none."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, Kernel)}
    if not found:
        raise exc.CommandFailed(
            problem=f"`{module.__file__}` defines no kernel",
            instead="decorate a function at its top level with @helion.kernel",
        )
    return found


def choose_kernel(module: ModuleType, name: str) -> Kernel:
    """The kernel `name`, or the only one if that is empty. Raises `CommandFailed`."""
    found = kernels(module)
    if not name and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        problem = f"there is no kernel `{name}` in `{module.__file__}`" if name else "the file has several kernels"
        raise exc.CommandFailed(problem=problem, instead=f"write FILE:KERNEL with one of {', '.join(found)}")
    return found[name]


def typical_calls(module: ModuleType, dtype: torch.dtype, target: Target) -> list[Call]:
    """The calls of kernels that the file's `typical` leads to, each specialisation once. Raises `CommandFailed`."""
    function = getattr(module, TYPICAL, None)
    if not callable(function):
        raise exc.CommandFailed(
            problem=f"`{module.__file__}` does not say how its kernels are called",
            instead=f"define `{TYPICAL}(device, dtype)` in it, which yields (function, arguments), or give --args",
        )
    known: dict[str, Any] = {"device": "meta", "dtype": dtype}
    wanted = inspect.signature(function).parameters
    with recorded(target) as calls:
        for case in function(**{name: value for name, value in known.items() if name in wanted}):
            run, args = (case.run, case.args) if hasattr(case, "run") else case
            run(*args)
    return calls


@contextmanager
def recorded(target: Target) -> Iterator[list[Call]]:
    """Calls of kernels run their host code and launch nothing; each specialisation that is called is listed once."""
    calls: list[Call] = []

    def call(kernel: Kernel, *args: Any, **kwargs: Any) -> Any:
        args = kernel.normalize_args(*args, **kwargs)
        bound = kernel.bind(args)
        if all(bound is not known.bound for known in calls):
            calls.append(Call(bound, args))
        return run_host(bound.generate(bound.spec_for(target).default(), target), args, 1).result

    with mock.patch.object(Kernel, "__call__", call):
        yield calls
