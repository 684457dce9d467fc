"""What helion costs on this machine: importing it, binding a kernel, emitting a config.

Usage: `python tools/costs.py [--repeats N] [--check]`

Import is the time of `import helion` in a fresh process that has imported torch already. The first bind and the first
emission are those of that process, with all that they import; another process imports first and binds then. A warm
bind traces the same kernel again. Figures are medians. With `--check` the exit status says whether all are within their
bounds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

# Milliseconds, on a machine of two cores.
BOUNDS = {
    "import": 300.0, "first bind": 1000.0, "first emit": 700.0, "bind": 100.0, "warm bind": 20.0, "emit": 3.0,
}  # fmt: skip
WHAT = {
    "import": "import helion, after torch",
    "first bind": "first bind of matmul, with imports",
    "first emit": "its code, with imports",
    "bind": "first bind of matmul, after imports",
    "warm bind": "bind of matmul again",
    "emit": "the code of matmul for a new config",
}
STAGES = (
    "helion.runtime.bound", "helion.trace.trace", "helion.trace.modes", "helion.frontend.rewrite", "triton",
    "torch.fx.experimental.symbolic_shapes",
)  # fmt: skip


def milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start)


def import_helion() -> None:
    """`import helion, helion.language`, and the names that a kernel uses, which load when they are asked for."""
    import helion
    import helion.language

    assert helion.kernel and helion.Config and helion.exc


def fresh_process(imported: bool) -> dict[str, float]:
    """What happens once in a process: import, bind, emission; or bind alone, where all is `imported` before."""
    importlib.import_module("torch")
    if imported:
        for name in STAGES:
            importlib.import_module(name)
    loading = milliseconds(import_helion)
    kernel, args = matmul()
    binding = milliseconds(lambda: kernel.bind(args))
    emitting = milliseconds(lambda: kernel.bind(args).to_triton_code())
    if imported:
        return {"bind": binding}
    return {"import": loading, "first bind": binding, "first emit": emitting}


def matmul(device: str = "cpu", **settings: Any) -> tuple:
    """The matmul of the README, by default without tuning, and arguments for it."""
    import torch

    import helion
    import helion.language as hl

    @helion.kernel(**(settings or {"use_default_config": True}))
    def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        m, k = x.size()
        k, n = y.size()
        out = torch.empty([m, n], dtype=x.dtype, device=x.device)
        for tile_m, tile_n in hl.tile([m, n]):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(k):
                acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
            out[tile_m, tile_n] = acc
        return out

    return matmul, (torch.zeros(1000, 700, device=device), torch.zeros(700, 500, device=device))


def again(repeats: int) -> dict[str, list[float]]:
    """Warm binds, and emissions of configs not seen before."""
    kernel, args = matmul()
    bound = kernel.bind(args)
    binds = []
    for _ in range(repeats):
        kernel.reset()
        binds.append(milliseconds(lambda: kernel.bind(args)))
    configs = [
        {"block_sizes": [m, n, k], "num_warps": w}
        for m in (16, 32, 64, 128)
        for n in (16, 32, 64, 128)
        for k in (16, 32, 64)
        for w in (1, 2, 4, 8)
    ][: 4 * repeats]
    emits = [milliseconds(lambda config=config: bound.to_triton_code(config)) for config in configs]
    return {"warm bind": binds, "emit": emits[1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Costs of helion on this machine, beside their bounds.")
    parser.add_argument("--repeats", type=int, default=15, help="how often each is measured")
    parser.add_argument("--check", action="store_true", help="fail where a bound is exceeded")
    parser.add_argument("--fresh-process", choices=("bare", "imported"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fresh_process:
        print(json.dumps(fresh_process(options.fresh_process == "imported")))
        return

    found: dict[str, list[float]] = {}
    for kind in ("bare", "imported") * max(3, options.repeats // 3):
        command = [sys.executable, __file__, "--fresh-process", kind]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, value in json.loads(text).items():
            found.setdefault(name, []).append(value)
    found |= again(options.repeats)

    import torch
    import triton

    print(f"Python {platform.python_version()}, torch {torch.__version__}, Triton {triton.__version__},", end=" ")
    print(f"{os.cpu_count()} cores, {platform.machine()}, {time.strftime('%Y-%m-%d')}")
    print(f"{'':38}{'median':>9}{'least':>9}{'most':>9}{'bound':>9}   ms")
    exceeded = False
    for name, bound in BOUNDS.items():
        values = found[name]
        middle = statistics.median(values)
        exceeded |= middle > bound
        mark = "  exceeded" if middle > bound else ""
        print(f"{WHAT[name]:38}{middle:9.2f}{min(values):9.2f}{max(values):9.2f}{bound:9.1f}{mark}")
    sys.exit(1 if options.check and exceeded else 0)


if __name__ == "__main__":
    main()
