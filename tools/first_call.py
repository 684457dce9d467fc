"""Seconds of the first call of matmul in a fresh process, after imports: with empty caches, then with full ones.

Usage: `python tools/first_call.py [--target sm_90] [--tuned] [--repeats N] [--check]`

On a GPU: the whole call up to its end on the device, whose context is there before, and its parts in other processes.
With `--tuned` the first process tunes for a few seconds, and later ones take the config of the cache. With `--target`,
no GPU is needed: binding, choosing the default config and compiling for that target. With `--check` the exit status
says whether the median with full caches is within half a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from costs import matmul  # type: ignore[import-not-found]

LIMIT = 0.5
TUNED = {"autotune_effort": "quick", "autotune_budget_seconds": 10.0, "autotune_progress_bar": False}


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def fresh_process(options: argparse.Namespace) -> dict[str, float]:
    """What one process does, in seconds: the whole `call`, or its parts where they are asked for."""
    import torch

    import helion
    import helion.language

    assert helion.kernel
    kernel, args = matmul("cpu" if options.target else "cuda", **(TUNED if options.tuned else {}))
    if options.target:
        return _compiled_for(options.target, kernel, args)
    torch.cuda.synchronize()

    def call() -> None:
        kernel(*args)
        torch.cuda.synchronize()

    if not options.parts:
        return {"call": seconds(call)}
    found = {"bind": seconds(lambda: kernel.bind(args))}
    bound = kernel.bind(args)
    found["choose"] = seconds(lambda: bound.run_for(args))
    found["compile, launch"] = seconds(call)
    return found


def _compiled_for(target: str, kernel: Any, args: tuple) -> dict[str, float]:
    from helion.runtime.targets import parse_target

    found: dict[str, float] = {}
    found["bind"] = seconds(lambda: kernel.bind(args))
    bound = kernel.bind(args)
    found["choose"] = seconds(lambda: bound.default_config(parse_target(target)))
    found["compile"] = seconds(lambda: bound.compile_for(target))
    return {"call": sum(found.values()), **found}


def run(options: argparse.Namespace, folder: str, *more: str) -> dict[str, float]:
    """A fresh process with its caches in `folder`."""
    command = [sys.executable, __file__, "--fresh-process", *more]
    command += ["--target", options.target] if options.target else []
    command += ["--tuned"] if options.tuned else []
    env = {**os.environ, "TRITON_CACHE_DIR": f"{folder}/triton", "HELION_CACHE_DIR": f"{folder}/helion"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(name: str, runs: list[dict[str, float]]) -> None:
    for part in runs[0]:
        values = [found[part] for found in runs]
        label = name if part == "call" else f"  {part}"
        print(f"{label:34}{statistics.median(values):8.3f}{min(values):8.3f}{max(values):8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The first call of a process, with empty and with full caches.")
    parser.add_argument("--target", help="compile for this target instead of calling, without a GPU")
    parser.add_argument("--tuned", action="store_true", help="with the config that tuning found")
    parser.add_argument("--repeats", type=int, default=7, help="how many processes with full caches")
    parser.add_argument("--check", action="store_true", help="fail where the limit is exceeded")
    parser.add_argument("--fresh-process", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--parts", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fresh_process:
        print(json.dumps(fresh_process(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        cold = run(options, folder)
        warm = [run(options, folder) for _ in range(options.repeats)]
        parts = [] if options.target else [run(options, folder, "--parts") for _ in range(options.repeats)]
    print(f"{'seconds':34}{'median':>8}{'least':>8}{'most':>8}")
    report("empty caches", [cold])
    report("full caches", warm)
    if parts:
        report("parts, full caches", parts)
    median = statistics.median(found["call"] for found in warm)
    if options.check:
        sys.exit(f"{median:.3f} s are over {LIMIT} s" if median > LIMIT else 0)


if __name__ == "__main__":
    main()
