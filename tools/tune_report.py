"""First calls on a GPU with cold caches: seconds to the result, the speed of what was found, and of its peers.

Usage: `python tools/tune_report.py [--only matmul,softmax] [--seeds 3] [--effort full] [--write FILE] [--logs DIR]`

Each case and seed runs in a process of its own with empty caches, so the first call pays for everything but importing
torch. Peers (cuBLAS, cuDNN, torch, a copy) are timed in the same process after that, in turns with the config found
and the default one. One JSON object a line goes to the file: seconds, milliseconds, TFLOP/s or GB/s, ratios, the best
so far over time, processors busy.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "packages" / "helion-core" / "examples"
SOURCES = [str(p) for p in sorted((ROOT / "packages").glob("*/src"))]
sys.path[:0] = [*SOURCES, str(EXAMPLES)]

ATTENTION = (4, 32, 4096, 128)
ROWS = (8192, 8192)


class Case(NamedTuple):
    """`call()` runs the kernel; `amount` is FLOPs or bytes; `peers` are timed beside it, the first is the yardstick."""

    kernel: Any
    args: tuple[Any, ...]
    amount: float
    unit: str
    peers: dict[str, Callable[[], Any]]


# --- cases


def _kernel(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _randn(*sizes: int) -> Any:
    import torch

    return torch.randn(*sizes, device="cuda", dtype=torch.bfloat16)


def _copy_of(x: Any) -> Callable[[], Any]:
    import torch

    out = torch.empty_like(x)
    return lambda: out.copy_(x)


def matmul() -> Case:
    import torch

    n = 4096
    x, y = _randn(n, n), _randn(n, n) / n**0.5
    return Case(_kernel("matmul", "matmul"), (x, y), 2.0 * n**3, "TFLOP/s", {"cublas": lambda: torch.mm(x, y)})


def attention() -> Case:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    batch, heads, length, head = ATTENTION
    q, k, v = (_randn(*ATTENTION) for _ in range(3))

    def through(backend: Any) -> Callable[[], Any]:
        def call() -> Any:
            with sdpa_kernel(backend):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v)

        return call

    peers = {"cudnn": through(SDPBackend.CUDNN_ATTENTION), "flash": through(SDPBackend.FLASH_ATTENTION)}
    return Case(
        _kernel("attention", "attention"), (q, k, v), 4.0 * batch * heads * length * length * head, "TFLOP/s", peers
    )


def softmax() -> Case:
    import torch

    x = _randn(*ROWS)
    peers = {"copy": _copy_of(x), "torch": lambda: torch.softmax(x, dim=1)}
    return Case(_kernel("softmax", "softmax"), (x,), 2.0 * x.nbytes, "GB/s", peers)


def rms_norm() -> Case:
    import torch

    x, weight = _randn(*ROWS), _randn(ROWS[1])
    peers = {"copy": _copy_of(x), "torch": lambda: torch.nn.functional.rms_norm(x, (ROWS[1],), weight)}
    return Case(_kernel("rms_norm", "rms_norm"), (x, weight), 2.0 * x.nbytes, "GB/s", peers)


def layer_norm() -> Case:
    import torch

    x, weight, bias = _randn(8192, 5120), _randn(5120), _randn(5120)
    peers = {"copy": _copy_of(x), "torch": lambda: torch.nn.functional.layer_norm(x, (5120,), weight, bias)}
    return Case(_kernel("layer_norm", "layer_norm"), (x, weight, bias), 2.0 * x.nbytes, "GB/s", peers)


CASES = {f.__name__: f for f in (matmul, attention, softmax, rms_norm, layer_norm)}


# --- one run, in a process of its own


def run_case(name: str, effort: str, seed: int, folder: Path) -> dict[str, Any]:
    """The first call of a case's kernel with what follows from it, as JSON."""
    import torch

    torch.empty(1, device="cuda")
    case = CASES[name]()
    torch.cuda.synchronize()
    settings = {"autotune_effort": effort, "autotune_random_seed": seed, "autotune_log": str(folder / "log")}
    kernel = _with_settings(case.kernel, settings)
    with Processors() as processors:
        start = time.perf_counter()
        kernel._expect_search(case.args)
        kernel.bind(case.args)
        traced = time.perf_counter() - start
        kernel(*case.args)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    bound = kernel.bind(case.args)
    print(
        f"{name}: first call {seconds:.1f} s ({traced:.1f} s to trace), {processors.busy():.1f} processors busy",
        file=sys.stderr,
    )
    timed = _timed(case, bound)
    best = timed["found"]
    scale = 1e9 if case.unit == "TFLOP/s" else 1e6
    curve = list(_curve(folder / "log.csv"))
    return {
        "case": name, "seed": seed, "effort": effort, "seconds": round(seconds, 2), "trace_seconds": round(traced, 2),
        "milliseconds": best, "unit": case.unit, "speed": round(case.amount / best / scale, 1),
        "peers": {peer: round(case.amount / ms / scale, 1) for peer, ms in timed.items() if peer != "found"},
        "ratio": round(timed[next(iter(case.peers))] / best, 4),
        "processors": round(processors.busy(), 2), "config": bound.config.to_dict(),
        "candidates": _counts(folder / "log.csv"), "curve": curve,
        "failures": _failures(folder / "log.csv"),
        "device": torch.cuda.get_device_name(), "torch": torch.__version__, "triton": _version("triton"),
        "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def _with_settings(kernel: Any, changes: dict[str, Any]) -> Any:
    import dataclasses

    kernel.settings = dataclasses.replace(kernel.settings, **changes)
    return kernel


def _timed(case: Case, bound: Any) -> dict[str, float]:
    """Milliseconds of the config found, of the default one and of the peers, in turns."""
    import torch

    from helion.tuning.timing import Clock

    default = bound.compile_config(bound.default_config()).run
    calls = {"found": lambda: bound(*case.args), "default": lambda: default(*case.args), **case.peers}
    for call in calls.values():
        call()
    torch.cuda.synchronize()
    clock = Clock(torch.device("cuda"), int(sum(a.nbytes for a in case.args)) * 2)
    return {k: round(ms, 5) for k, ms in zip(calls, clock.interleave(list(calls.values())), strict=True)}


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _curve(path: Path) -> Iterator[tuple[float, float]]:
    """(seconds of the search, best milliseconds so far) at every gain, as the search measured them."""
    best = float("inf")
    for row in _rows(path):
        if row["milliseconds"] and float(row["milliseconds"]) < best:
            best = float(row["milliseconds"])
            yield round(float(row["seconds"]), 1), round(best, 4)


def _counts(path: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in _rows(path):
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    return counts


def _failures(path: Path) -> dict[str, int]:
    """Why candidates failed, with how many."""
    found: dict[str, int] = {}
    for row in _rows(path):
        if row["message"]:
            found[row["message"][:200]] = found.get(row["message"][:200], 0) + 1
    return found


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


class Processors:
    """How many processors this process and all below it keep busy on average while the block runs."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._used: dict[int, float] = {}
        self._start = self._end = 0.0
        self._before = 0.0

    def __enter__(self) -> Processors:
        self._sample()
        self._before = sum(self._used.values())
        self._start = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()
        self._end = time.perf_counter()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self._sample()

    def _sample(self) -> None:
        """Seconds of processor time by process; those that ended keep their last value."""
        tick = os.sysconf("SC_CLK_TCK")
        parents: dict[int, int] = {}
        times: dict[int, float] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(stat.parent.name)
            parents[pid] = int(fields[1])
            times[pid] = sum(map(int, fields[11:15])) / tick  # own and of children that were waited for
        for pid in times:
            if _descends(pid, os.getpid(), parents):
                self._used[pid] = times[pid]

    def busy(self) -> float:
        return (sum(self._used.values()) - self._before) / max(self._end - self._start, 1e-6)


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid and pid != root:
        pid = parents.get(pid, 0)
    return pid == root


# --- all runs


def run_isolated(name: str, effort: str, seed: int, logs: Path | None) -> dict[str, Any] | None:
    """`run_case` in a fresh process with empty caches; None if it fails. `logs`: folder for the searches' CSV files."""
    with tempfile.TemporaryDirectory(prefix="tune-report-") as folder:
        environment = {
            **os.environ,
            "TRITON_CACHE_DIR": f"{folder}/triton",
            "HELION_CACHE_DIR": f"{folder}/helion",
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        }
        out = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--child", name, "--effort", effort, "--first-seed", str(seed)]
        code = subprocess.run([*command, "--write", str(out)], env=environment, check=False).returncode
        if logs is not None and (log := Path(folder) / "log.csv").exists():
            logs.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, logs / f"{name}-{seed}.csv")
        return json.loads(out.read_text()) if code == 0 and out.exists() else None


def line(result: dict[str, Any]) -> str:
    peers = "  ".join(f"{name} {speed}" for name, speed in result["peers"].items())
    yardstick = next(name for name in result["peers"] if name != "default")
    return (
        f"{result['case']:11} seed {result['seed']}  {result['seconds']:6.1f} s  {result['milliseconds']:.4f} ms  "
        f"{result['speed']:8.1f} {result['unit']:7}  {result['ratio']:.3f} of {yardstick}   ({peers})  "
        f"{result['processors']:.1f} processors  {sum(result['candidates'].values())} configs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CASES), help="cases, comma separated")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--effort", default="full", choices=("quick", "full"))
    parser.add_argument("--write", type=Path, help="file that JSON lines are appended to")
    parser.add_argument("--logs", type=Path, help="folder for a CSV file of each search: every candidate with its time")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        result = run_case(options.child, options.effort, options.first_seed, options.write.parent)
        options.write.write_text(json.dumps(result))
        return
    failed = False
    for name in options.only.split(","):
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            result = run_isolated(name, options.effort, seed, options.logs)
            failed |= result is None
            print(line(result) if result else f"{name}: seed {seed} failed", flush=True)
            if result and options.write:
                with options.write.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
