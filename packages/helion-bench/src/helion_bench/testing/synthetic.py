"""Synthetic runs: made up from a seed, on a GPU that does not exist. No figure in them was measured.

`python -m helion_bench.testing.synthetic FOLDER` writes those that the tests compare and report.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from helion_bench.results.model import (
    Accuracy,
    Backend,
    CaseKey,
    Cell,
    CompileFacts,
    Latency,
    Machine,
    Pass,
    Peaks,
    Role,
    Run,
    Software,
    Status,
)
from helion_bench.results.store import Store, write_file

GPU = "Synthetic GPU"
PEAKS = Peaks(gbps=3000.0, tflops=(("bfloat16", 800.0), ("float32", 60.0)), source="made up")
SPEED = {"helion": 1.0, "helion-default": 0.8, "eager": 0.55, "compile": 0.85, "vendor": 0.97}
BACKENDS = (
    Backend("helion", Role.OURS, "0.1", "shipped configs"),
    Backend("helion-default", Role.OURS, "0.1", "default configs"),
    Backend("eager", Role.PEER, "2.11"),
    Backend("compile", Role.PEER, "2.11"),
    Backend("vendor", Role.PEER, "12.8"),
    Backend("liger", Role.PEER, why_not="liger-kernel is not installed"),
)


def row_cases(ops: int = 4, shapes: int = 5) -> list[CaseKey]:
    """`ops` × `shapes` cases of made-up row-wise operations in two dtypes, forward."""
    names = ["softmax", "layer_norm", "rms_norm", "geglu"] + [f"op{i}" for i in range(4, ops)]
    found = []
    for name in names[:ops]:
        for i in range(shapes):
            m, n = 1024 << (i % 5), 1024 + 512 * i
            found.append(CaseKey(name, f"{m}x{n}", (("m", m), ("n", n)), "float32" if i % 3 == 2 else "bfloat16"))
    return found


def matmul_case(n: int, pass_: Pass = "fwd") -> CaseKey:
    """A square product in bfloat16."""
    return CaseKey("matmul", f"{n}x{n}x{n}", (("m", n), ("n", n), ("k", n)), "bfloat16", pass_)


def synthetic_run(
    seed: int,
    cases: list[CaseKey],
    *,
    drift: float = 0.02,
    shift: float = 0.0,
    noise: float = 0.01,
    rounds: int = 10,
    slower: Mapping[tuple[str, str], float] | None = None,
    identity: str = "",
) -> Run:
    """A run whose cells each drift by themselves (`drift`, standard deviation of logs) and together (`shift`).

    `slower` multiplies the times of ours, by op and shape. Two runs of different seeds are an A/A pair.
    """
    random = np.random.default_rng(seed)
    cells = []
    for case in cases:
        bytes_moved, flops = work(case)
        at_best = max(bytes_moved / 3000e3, flops / 800e6) + 2.0
        for backend in BACKENDS:
            if backend.why_not:
                cells.append(Cell(case, backend.name, Status.MISSING, backend.why_not))
                continue
            factor = (slower or {}).get((case.op, case.shape), 1.0) if backend.name == "helion" else 1.0
            typical = at_best / (0.9 * SPEED[backend.name] * _character(case, backend.name)) * factor
            center = math.log(typical) + shift + random.normal(0, drift)
            samples = np.exp(center + random.normal(0, noise, size=(rounds, 1)) + random.normal(0, noise, (rounds, 4)))
            cells.append(_cell(case, backend.name, Latency.of(samples.tolist(), "events"), bytes_moved, flops))
    return Run(
        id=identity or f"synthetic-{seed}",
        started=f"2026-01-{1 + seed % 28:02d}T12:00:00+00:00",
        command=("helion-bench", "run"),
        machine=Machine(GPU, 1, "9.0", 1980, 1980, 2600, 700.0, "550.0", "12.8", "Synthetic CPU", 8, "Linux", PEAKS),
        software=Software("3.11.7", "2.11.0", "3.6.0", "0.1", f"{seed:07x}"),
        backends=BACKENDS,
        cells=tuple(cells),
        seconds=60.0,
        complete=True,
    )


def work(case: CaseKey) -> tuple[int, int]:
    """Bytes and floating-point operations of a made-up case."""
    sizes = dict(case.sizes)
    itemsize = 4 if case.dtype == "float32" else 2
    m, n = sizes["m"], sizes["n"]
    if case.op == "matmul":
        k = sizes["k"]
        return (m * k + k * n + m * n) * itemsize, 2 * m * n * k
    return 2 * m * n * itemsize, 5 * m * n


def _character(case: CaseKey, backend: str) -> float:
    """What a backend is good at: between 0.8 and 1.2, the same in every run."""
    return 0.8 + 0.4 * (zlib.crc32(f"{case.id} {backend}".encode()) % 1000) / 1000


def _cell(case: CaseKey, backend: str, latency: Latency, bytes_moved: int, flops: int) -> Cell:
    tolerance = 1e-5 if case.dtype == "float32" else 1e-2
    return Cell(
        case,
        backend,
        Status.OK,
        latency=latency,
        accuracy=Accuracy(True, tolerance / 8, tolerance / 4, tolerance, tolerance),
        bytes_moved=bytes_moved,
        flops=flops,
        compile_seconds=1.25 if backend.startswith("helion") else None,
        host_overhead_us=9.5,
        peak_memory_bytes=bytes_moved // 2,
        config="{'num_warps': 8}" if backend.startswith("helion") else "",
    )


def example_runs() -> dict[str, Run]:
    """Before and after a change that slowed one case down by 25 %, broke another, and lost and added some."""
    cases = [*row_cases(3, 4), matmul_case(4096), matmul_case(8192), matmul_case(4096, "bwd")]
    before = synthetic_run(1, cases, identity="synthetic-before")
    planted = {("softmax", cases[1].shape): 1.25}
    after = synthetic_run(2, [*cases[:-1], matmul_case(2048)], shift=0.03, slower=planted, identity="synthetic-after")
    wrong = Accuracy(False, 3.5, None, 1e-2, 1e-2)
    spoilt: dict[tuple[CaseKey, str], dict[str, Any]] = {
        (cases[4], "helion"): {"status": Status.WRONG, "reason": "errors up to 3.5, allowed 0.01", "accuracy": wrong},
        (cases[5], "compile"): {"status": Status.ERROR, "reason": "RuntimeError: no kernel", "latency": None},
        (cases[6], "vendor"): {"status": Status.TIMEOUT, "reason": "no result after 60 s", "latency": None},
    }
    changed = [dataclasses.replace(cell, **spoilt.get(cell.key, {})) for cell in after.cells]
    return {"before": before, "after": dataclasses.replace(after, cells=tuple(changed)), "cpu": cpu_run()}


def cpu_run() -> Run:
    """What a machine without a GPU tells: accuracy and compile facts, no times."""
    case = CaseKey("softmax", "32x60", (("m", 32), ("n", 60)), "float32")
    facts = tuple(
        CompileFacts(target, "softmax", 32 + 8 * i, 0, 1024 * i, 9000) for i, target in enumerate(["sm_80", "sm_90"])
    )
    right = Accuracy(True, 1.2e-7, 4e-7, 1e-5, 1e-5)
    return Run(
        id="synthetic-cpu",
        started="2026-01-03T12:00:00+00:00",
        command=("helion-bench", "run", "--device", "cpu"),
        machine=Machine("cpu", cpu="Synthetic CPU", cpu_count=8, system="Linux"),
        software=Software("3.11.7", "2.13.0", "3.7.1", "0.1", "0000003", True),
        backends=BACKENDS[:1] + BACKENDS[2:3],
        cells=(
            Cell(case, "helion", Status.OK, accuracy=right, facts=facts),
            Cell(case, "eager", Status.OK, accuracy=right),
        ),
        seconds=2.0,
        complete=True,
    )


def main(folder: str) -> None:
    """Write the example runs as files `synthetic_<name>.json`."""
    from helion_bench.results.codec import encode

    for name, run in example_runs().items():
        write_file(Path(folder) / f"synthetic_{name}.json", encode(run))


def fill(store: Store) -> None:
    """Put the example runs into a store."""
    for run in example_runs().values():
        store.put(run)


if __name__ == "__main__":
    main(sys.argv[1])
