"""What one call costs on the host, on a CUDA GPU: a kernel of ours, torch's operator, Triton's own dispatch.

Usage: `python tools/call_cost.py [--repeats N] [--calls N] [--check]`

Microseconds of host time per call on tensors of 1024 elements, output allocation included, while the GPU keeps up;
each repeat times all candidates one after the other, and the table shows medians with the least and the most. The same
compiled kernel stands behind ours and Triton's. With `--check` the exit status says whether ours stays within 10 µs
and half of Triton's.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton

import helion
import helion.language as hl

LIMIT_US, LIMIT_RATIO = 10.0, 0.5
NUMBERS = (1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7, 8, 9, 10, 11, 12)


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


def through_triton(kernel: helion.Kernel, args: Sequence[object]) -> Callable[..., torch.Tensor]:
    """The same kernel launched as a Triton user would: allocation, then `kernel[grid](...)`."""
    from helion.runtime.load import load_kernel

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


def microseconds(call: Callable[[], object], calls: int) -> float:
    """Host time of one call, with the queue of the GPU never full."""
    torch.cuda.synchronize()
    times = []
    for _ in range(max(1, calls // 100)):
        start = time.perf_counter()
        for _ in range(100):
            call()
        times.append((time.perf_counter() - start) / 100)
        torch.cuda.synchronize()
    return 1e6 * statistics.median(times)


def candidates() -> dict[str, dict[str, Callable[[], object]]]:
    x, y, z = (torch.randn(1024, device="cuda") for _ in range(3))
    triton_add, triton_many = through_triton(add, (x, y)), through_triton(many_scalars, (x, y, z, *NUMBERS))
    torch.testing.assert_close(add(x, y), x + y)
    torch.testing.assert_close(many_scalars(x, y, z, *NUMBERS), triton_many(x, y, z, *NUMBERS))
    return {
        "add, 1024 elements": {
            "ours": lambda: add(x, y),
            "torch": lambda: x + y,
            "Triton's dispatch": lambda: triton_add(x, y),
            "torch.empty_like": lambda: torch.empty_like(x),
        },
        "3 tensors and 12 numbers": {
            "ours": lambda: many_scalars(x, y, z, *NUMBERS),
            "torch (addcmul, one step of it)": lambda: torch.addcmul(x, y, z),
            "Triton's dispatch": lambda: triton_many(x, y, z, *NUMBERS),
            "torch.empty_like": lambda: torch.empty_like(x),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Host time of one call, in microseconds.")
    parser.add_argument("--repeats", type=int, default=9, help="rounds over all candidates")
    parser.add_argument("--calls", type=int, default=2000, help="calls per candidate and round")
    parser.add_argument("--check", action="store_true", help="fail where ours exceeds its limits")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("this needs a CUDA GPU: on the CPU kernels are interpreted")

    print(f"{torch.cuda.get_device_name()}, {platform.processor() or platform.machine()}, Python", end=" ")
    print(f"{platform.python_version()}, torch {torch.__version__}, Triton {triton.__version__}", end=", ")
    print(time.strftime("%Y-%m-%d"))
    missed = False
    for title, calls in candidates().items():
        found: dict[str, list[float]] = {name: [] for name in calls}
        for call in calls.values():
            microseconds(call, 200)
        for _ in range(options.repeats):
            for name, call in calls.items():
                found[name].append(microseconds(call, options.calls))
        print(f"\n{title:34}{'median':>9}{'least':>9}{'most':>9}   µs")
        for name, values in found.items():
            print(f"  {name:32}{statistics.median(values):9.2f}{min(values):9.2f}{max(values):9.2f}")
        ours, dispatch = (statistics.median(found[name]) for name in ("ours", "Triton's dispatch"))
        missed |= ours > LIMIT_US or ours > LIMIT_RATIO * dispatch
        print(f"  ours / Triton's dispatch: {ours / dispatch:.2f} (limit {LIMIT_RATIO}); limit {LIMIT_US:.0f} µs")
    sys.exit(1 if options.check and missed else 0)


if __name__ == "__main__":
    main()
