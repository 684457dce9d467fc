"""What the examples share: a case to run, the comparison with a float64 reference, and `main` for running one file.

An example is a module with `cases(device, dtype)`, small and odd inputs for tests, and `typical(device, dtype)`,
sizes worth a GPU. `DTYPES` lists the floating dtypes it is written for, where they are not float32 and bfloat16;
`TOLERANCES` what it allows where that differs from the table below; `UNSUPPORTED` the targets that lack what it
needs, with the reason.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

import helion
from helion import ir
from helion.runtime import specialization
from helion.runtime.launching import launch

FOLDER = Path(__file__).parent
DTYPES = (torch.float32, torch.bfloat16)
# Largest error of an element, against its own size plus the root mean square of the whole result.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
TF32 = 5e-3  # float32 products on tensor cores


class Case(NamedTuple):
    """`run(*args)` is to give what `reference(*args)` gives in float64."""

    name: str
    run: Callable[..., Any]
    args: tuple[Any, ...]
    reference: Callable[..., Any]


class Outcome(NamedTuple):
    """Largest error of a case, what it may be, and the seconds that the call took (with compilation)."""

    error: float
    tolerance: float
    seconds: float

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance


def names() -> list[str]:
    """The examples, by file name."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_") and p.stem != "demo")


def load(name: str, static_shapes: bool = True) -> ModuleType:
    """The example `name` as a module of its own, its kernels set to run their default configs."""
    full = f"helion_examples_{name}{'' if static_shapes else '_dynamic'}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, FOLDER / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not static_shapes:
            serve_all_sizes(module)
        use_default_configs(module)
    return sys.modules[full]


def kernels(module: ModuleType) -> dict[str, helion.Kernel]:
    return {name: value for name, value in vars(module).items() if isinstance(value, helion.Kernel)}


def use_default_configs(module: ModuleType) -> None:
    """Calls of the module's kernels do not tune."""
    for kernel in kernels(module).values():
        kernel.settings = dataclasses.replace(kernel.settings, use_default_config=True)


def serve_all_sizes(module: ModuleType) -> None:
    """The module's kernels are exchanged for such that do not specialise on sizes."""
    for name, kernel in kernels(module).items():
        settings = dataclasses.replace(kernel.settings, static_shapes=False)
        setattr(module, name, helion.Kernel(kernel.fn, kernel.configs, settings))


def bound_kernels(module: ModuleType) -> Iterator[helion.BoundKernel]:
    """Every specialisation that the module's kernels have so far."""
    for kernel in kernels(module).values():
        for found in kernel._bound.values():
            yield from found


def dtypes(module: ModuleType) -> tuple[torch.dtype, ...]:
    return getattr(module, "DTYPES", DTYPES)


def make(module: ModuleType, device: str, dtype: torch.dtype, what: str = "cases") -> list[Case]:
    """The module's cases (or `what="typical"`), the same at every call."""
    torch.manual_seed(0)
    return list(getattr(module, what)(device, dtype))


def difference(out: Any, expected: Any) -> float:
    """The largest error over all results. Raises AssertionError where number or shapes of the results differ."""
    found, wanted = tree_leaves(out), tree_leaves(expected)
    assert len(found) == len(wanted), f"{len(found)} results instead of {len(wanted)}"
    worst = 0.0
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape, f"shape {tuple(a.shape)} instead of {tuple(b.shape)}"
        if b.numel() == 0:
            continue
        error = (a.double() - b.double()).abs() / (b.double().abs() + b.double().square().mean().sqrt())
        error = torch.where(a.double() == b.double(), 0.0, error)  # equal zeros and infinities
        worst = max(worst, float("inf") if error.isnan().any() else error.max().item())
    return worst


def tolerance(module: ModuleType, args: Any, out: Any) -> float:
    """What the coarsest dtype among arguments and results allows."""
    tensors = [t for t in tree_leaves((args, out)) if isinstance(t, torch.Tensor)]
    table = TOLERANCES | getattr(module, "TOLERANCES", {})
    allowed = max(table.get(t.dtype, 0.0) for t in tensors)
    if any(t.is_cuda for t in tensors) and any(map(_has_dot, bound_kernels(module))):
        return max(allowed, getattr(module, "TF32", TF32))
    return allowed


def _has_dot(kernel: helion.BoundKernel) -> bool:
    return any(isinstance(op, ir.Dot) for op in kernel.program.ops())


def check(module: ModuleType, case: Case) -> Outcome:
    """Runs a case against its reference in float64."""
    exact = tree_map_only(torch.Tensor, lambda t: t.double() if t.is_floating_point() else t.clone(), case.args)
    expected = case.reference(*exact)
    start = time.perf_counter()
    out = case.run(*case.args)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return Outcome(difference(out, expected), tolerance(module, case.args, out), seconds)


@contextmanager
def nothing_launched() -> Iterator[None]:
    """Calls trace kernels and run their host code, also on tensors without data (device "meta"), but launch nothing."""

    def ignore(generated: Any) -> Callable[..., None]:
        return lambda *args, **options: None

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(specialization, "device_target", lambda device: None))
        stack.enter_context(mock.patch.object(launch, "_interpreted", ignore))
        stack.enter_context(mock.patch.object(launch, "GpuLauncher", ignore))
        yield


def typical_kernels(module: ModuleType, dtype: torch.dtype, factor: int = 1) -> list[helion.BoundKernel]:
    """The kernels that the module's typical cases call, specialised to their sizes; needs no GPU and no memory.

    `factor` multiplies every size from 1024 on; smaller ones are heads, groups and channels, which stay as they are.
    """
    for kernel in kernels(module).values():
        kernel.reset()
    with nothing_launched():
        for case in make(module, "meta", dtype, "typical"):
            case.run(*tree_map_only(torch.Tensor, lambda t: enlarged(t, factor), case.args))
    return list(bound_kernels(module))


def enlarged(tensor: torch.Tensor, factor: int, least: int = 1024) -> torch.Tensor:
    """A meta tensor laid out like `tensor`, with every size from `least` on multiplied by `factor`."""
    if factor == 1:
        return tensor
    sizes = [size * factor if size >= least else size for size in tensor.size()]
    strides, step = [0] * tensor.dim(), 1
    for dim in sorted(range(tensor.dim()), key=lambda d: (tensor.stride(d), -d)):
        if tensor.stride(dim):
            strides[dim] = step
            step *= sizes[dim]
    return torch.empty_strided(sizes, strides, dtype=tensor.dtype, device="meta")


def main() -> None:
    """Runs the cases of the file that was started, each against its reference."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--typical", action="store_true", help="the sizes for a GPU instead of the small ones")
    options = parser.parse_args()
    module = load(Path(sys.argv[0]).stem)
    failed = False
    for dtype in dtypes(module):
        for case in make(module, options.device, dtype, "typical" if options.typical else "cases"):
            outcome = check(module, case)
            failed |= not outcome.ok
            state = "ok" if outcome.ok else f"WRONG, allowed {outcome.tolerance:.0e}"
            print(f"{case.name:40} {str(dtype).removeprefix('torch.'):9} error {outcome.error:.1e}  {state}")
    sys.exit(failed)
