"""What one call costs on the host, on a CUDA GPU: a kernel of ours, torch's operator, Triton's own dispatch.

Usage: `python tools/call_cost.py [--rounds N] [--calls N] [--check]`

Microseconds of host time per call on tensors of 1024 elements, output allocation included, while the GPU keeps up. All
rows of a table are timed in every round, in an order of its own, on one CPU core that has been warmed up: medians over
the rounds and quartiles. Ratios are taken within rounds, so that a clock that drifts does not count. The same compiled
kernel stands behind ours and Triton's. Rows that are indented are parts of a call of ours. With `--check` the exit
status says whether ours stays within 10 µs and half of Triton's.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import inspect
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

import torch
import triton

import helion
import helion.language as hl

LIMIT_US, LIMIT_RATIO = 10.0, 0.5
WARM_UP_S = 0.5
NUMBERS = (1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7, 8, 9, 10, 11, 12)
OURS, DISPATCH = "ours", "Triton's dispatch"
Call = Callable[[], object]


@helion.kernel(use_default_config=True)
def add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + y[tile]
    return out


@helion.kernel(use_default_config=True)
def many_scalars(x, y, z, a, b, c, d, e, f, i, j, k, l, m, n):  # noqa: ANN001, ANN201, E741
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        first = x[tile] * a + y[tile] * b + z[tile] * c
        out[tile] = first * d + e - f + x[tile] * i + y[tile] * j + z[tile] * k + l - m * n
    return out


# --- timing


@dataclass(frozen=True)
class Spread:
    """Quartiles of one row, in microseconds."""

    low: float
    median: float
    high: float


@contextlib.contextmanager
def quiet_core() -> Iterator[None]:
    """Keeps this process on one of its CPU cores, without garbage collections."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    collecting = gc.isenabled()
    try:
        if allowed is not None:
            os.sched_setaffinity(0, {max(allowed)})  # interrupts tend to go to the first cores
        gc.disable()
        yield
    finally:
        if allowed is not None:
            os.sched_setaffinity(0, allowed)
        if collecting:
            gc.enable()


def warm_up(rows: Mapping[str, Call], seconds: float, settle: Call) -> None:
    """Calls every row in turn until the time is over: clocks rise, caches fill."""
    end = time.perf_counter() + seconds
    while True:
        for call in rows.values():
            for _ in range(20):
                call()
            settle()
        if time.perf_counter() >= end:
            return


def measure(
    rows: Mapping[str, Call], rounds: int, calls: int, settle: Call, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Microseconds of one call of each row, round by round; `settle` waits for the GPU, outside of what is timed."""
    order = random.Random(0)
    found: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name in order.sample(list(rows), len(rows)):
            call, repeat = rows[name], range(calls)
            settle()
            start = clock()
            for _ in repeat:
                call()
            found[name].append(1e6 * (clock() - start) / calls)
    settle()
    return found


def spread(values: Sequence[float]) -> Spread:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, median, high)


def ratio(found: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """The median over rounds of `one` as a part of `other`."""
    return statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))


def within_limits(found: Mapping[str, Sequence[float]]) -> bool:
    return statistics.median(found[OURS]) <= LIMIT_US and ratio(found, OURS, DISPATCH) <= LIMIT_RATIO


def table(title: str, found: Mapping[str, Sequence[float]]) -> str:
    """One table, and how ours does beside its limits."""
    lines = [f"{title:44}{'median':>9}{'quartiles':>18}   µs"]
    for name, values in found.items():
        s = spread(values)
        lines.append(f"  {name:42}{s.median:9.2f}{s.low:9.2f}{s.high:9.2f}")
    if DISPATCH in found:
        ours, part = statistics.median(found[OURS]), ratio(found, OURS, DISPATCH)
        lines.append(f"  ours: {ours:.2f} µs (limit {LIMIT_US:.0f}); of Triton's: {part:.2f} (limit {LIMIT_RATIO})")
    return "\n".join(lines)


# --- what is timed


def through_triton(kernel: helion.Kernel, args: Sequence[object]) -> Callable[..., torch.Tensor]:
    """The same kernel launched as a Triton user would: allocation, then `kernel[grid](...)`."""
    from helion.runtime.binaries.load import load_kernel

    generated = kernel.bind(args).generate()
    jitted = load_kernel(generated.kernel_source, generated.kernel_name)
    options = dict(generated.options)
    grid = (eval(generated.grid, {"x": args[0]})[0],)
    order = [*(t.source for t in generated.program.tensors), *(s.source for s in generated.program.scalars)]
    names = list(kernel.fn.__code__.co_varnames[: kernel.fn.__code__.co_argcount])
    text = f"def call({', '.join(names)}):\n    out = empty_like(x)\n    jitted[grid]({', '.join(order)}, **options)\n"
    space: dict[str, Any] = {"empty_like": torch.empty_like, "jitted": jitted, "grid": grid, "options": options}
    exec(text + "    return out\n", space)
    return space["call"]


def with_cell(function: FunctionType, name: str, value: Any) -> FunctionType:
    """`function` with another value in one of its closure's variables."""
    cells = [
        CellType(value) if free == name else cell
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    ]
    return FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(cells))


def parts(kernel: helion.Kernel, args: Sequence[Any]) -> dict[str, Call]:
    """The parts of a call of `kernel`, which has been called with `args` just before."""
    from helion.emit.wrapper import LAUNCH
    from helion.integration import versions

    x = args[0]
    size, stride, dtype = tuple(x.size()), x.stride(), x.dtype
    first = kernel._known.calls[0]
    matches, run = first.matches, first.run
    host: Any = kernel.bind(args).chosen
    if not matches(*args):
        raise RuntimeError("the last call is not recognised")
    found: dict[str, Call] = {
        "  recognising the call": lambda: matches(*args),
        "  allocation: torch.empty_like": lambda: torch.empty_like(x),
    }
    allocate = versions.empty_strided(x.device.type)
    if allocate is not None:
        found["  allocation: of a known layout"] = lambda: allocate(size, stride, dtype)
    found["  host code, nothing launched"] = lambda: host(*args, **{LAUNCH: _nothing})
    launches: list[Any] = []
    host(*args, **{LAUNCH: lambda *given, **options: launches.append((given, options))})
    [(given, options)] = launches
    launched = host.__kwdefaults__[LAUNCH]
    found["  the launch function"] = lambda: launched(*given, **options)
    if run is not host:
        found["  the call as one function, nothing launched"] = _bind(with_cell(run, "call", _nothing), args)
    if isinstance(launched, FunctionType) and "call" in launched.__code__.co_freevars:
        passed: list[Any] = []
        with_cell(launched, "call", lambda *values: passed.append(values))(*given, **options)
        found["  the C function of the launch"] = _bind(inspect.getclosurevars(launched).nonlocals["call"], passed[0])
    return found


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _bind(function: Callable[..., Any], args: Sequence[Any]) -> Call:
    return lambda: function(*args)


def tables() -> dict[str, dict[str, Call]]:
    x, y, z = (torch.randn(1024, device="cuda") for _ in range(3))
    out = torch.empty_like(x)
    triton_add, triton_many = through_triton(add, (x, y)), through_triton(many_scalars, (x, y, z, *NUMBERS))
    for _ in range(4):
        torch.testing.assert_close(add(x, y), x + y)
        torch.testing.assert_close(many_scalars(x, y, z, *NUMBERS), triton_many(x, y, z, *NUMBERS))
    parts_add, parts_many = parts(add, (x, y)), parts(many_scalars, (x, y, z, *NUMBERS))
    return {
        "add, 1024 elements": {
            OURS: lambda: add(x, y),
            "torch": lambda: x + y,
            "torch.add(out=)": lambda: torch.add(x, y, out=out),
            DISPATCH: lambda: triton_add(x, y),
            **parts_add,
        },
        "add(x, x)": {OURS: lambda: add(x, x), "torch": lambda: x + x, DISPATCH: lambda: triton_add(x, x)},
        "3 tensors and 12 numbers": {
            OURS: lambda: many_scalars(x, y, z, *NUMBERS),
            "torch (addcmul, one step of it)": lambda: torch.addcmul(x, y, z),
            DISPATCH: lambda: triton_many(x, y, z, *NUMBERS),
            **parts_many,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Host time of one call, in microseconds.")
    parser.add_argument("--rounds", type=int, default=60, help="rounds over all rows of a table")
    parser.add_argument("--calls", type=int, default=100, help="calls per row and round")
    parser.add_argument("--check", action="store_true", help="fail where ours exceeds its limits")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("this needs a CUDA GPU: on the CPU kernels are interpreted")

    print(f"{torch.cuda.get_device_name()}, {platform.processor() or platform.machine()}, Python", end=" ")
    print(f"{platform.python_version()}, torch {torch.__version__}, Triton {triton.__version__}", end=", ")
    print(time.strftime("%Y-%m-%d"))
    missed = False
    all_rows = tables()
    with quiet_core():
        for title, rows in all_rows.items():
            warm_up(rows, WARM_UP_S, torch.cuda.synchronize)
            found = measure(rows, options.rounds, options.calls, torch.cuda.synchronize)
            print(f"\n{table(title, found)}", flush=True)
            missed |= not within_limits(found)
    sys.exit(1 if options.check and missed else 0)


if __name__ == "__main__":
    main()
