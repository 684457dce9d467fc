"""Compiling candidates in worker processes, for a GPU that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch

from helion.runtime.binaries.compile import reason_of
from helion.tuning import worker
from helion_autotune.errors import CompileError
from helion_autotune.evaluate import WorkerPool

SOURCE = """import triton
import triton.language as tl


@triton.jit
def double(x, n):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x + i, tl.load(x + i, mask=i < n) * 2, mask=i < n)
"""


def payload(block=128, source=SOURCE, **options):
    return {
        "source": source.replace("BLOCK", str(block)), "name": "double", "signature": ["*fp32", "i32"],
        "aligned": [True], "target": "sm_90", "options": {"num_warps": 4, "num_stages": 2, **options},
        "launch": {"grid": [1], "arguments": "a", "descriptors": []},
    }  # fmt: skip


def test_facts_and_binary():
    found = worker.compile(payload())
    assert found["facts"]["registers"] > 0 and found["facts"]["spills"] == 0 and found["facts"]["code_size"] > 0
    assert found["binary"] == worker.compile(payload())["binary"]


def test_what_is_only_for_debuggers_makes_no_other_binary():
    moved = "# a comment\n\n" + SOURCE
    assert worker.compile(payload(source=moved))["binary"] == worker.compile(payload())["binary"]
    assert worker.compile(payload(num_stages=4))["binary"] == worker.compile(payload())["binary"]


def test_code_and_launch_make_another_binary():
    first = worker.compile(payload())["binary"]
    assert worker.compile(payload(block=256))["binary"] != first
    assert worker.compile(payload(num_warps=8))["binary"] != first
    other = payload()
    other["launch"] = {**other["launch"], "grid": [2]}
    assert worker.compile(other)["binary"] != first


def test_a_reason_and_not_the_source():
    with pytest.raises(CompileError, match="missing") as caught:
        worker.compile(payload(source=SOURCE.replace("n) * 2", "n) * missing")))
    assert "tl.store" not in str(caught.value)


def test_what_ptxas_says_is_the_reason():
    """Not that Triton met an error, which is its first line."""
    text = """Internal Triton PTX codegen error
`ptxas` stderr:
ptxas fatal   : (C7602) Insufficient registers (64) to compile instruction at line 192. Try a target of 90 or higher.
ptxas fatal   : Ptx assembly aborted due to errors

Repro command: ptxas -lineinfo -v"""
    reason = (
        "ptxas: (C7602) Insufficient registers (64) to compile instruction at line 192. Try a target of 90 or higher."
    )
    assert reason_of(RuntimeError(text)) == reason
    assert worker._reason(RuntimeError(text)) == f"RuntimeError: {reason}"


def test_ptxas_names_a_line_before_it_gives_up():
    text = """Internal Triton PTX codegen error
`ptxas` stderr:
ptxas /tmp/tmp1.ptx, line 4; warning : Not the fatal thing
ptxas /tmp/tmp1.ptx, line 9; error   : Not a name of any known instruction: 'foo'
ptxas fatal   : Ptx assembly aborted due to errors"""
    assert reason_of(RuntimeError(text)) == "ptxas: Not a name of any known instruction: 'foo'"


def test_workers_need_no_torch_and_fill_the_cache_of_this_process(tmp_path, monkeypatch):
    from triton import knobs

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    with WorkerPool(1, setup=("helion.tuning.worker:warm", []), timeout=60) as pool:
        pool.submit("helion.tuning.worker:compile", payload()).result()
        loaded = pool.submit("helion.tuning.worker:loaded_modules").result()
    assert "torch" not in loaded and "sympy" not in loaded
    before = {p.name for p in tmp_path.iterdir()}
    misses = []
    monkeypatch.setattr(knobs.compilation, "listener", lambda cache_hit, **_: misses.append(not cache_hit))
    worker.compiled_kernel(payload())
    assert misses == [False]
    assert {p.name for p in tmp_path.iterdir()} == before


def test_payloads_of_a_kernel_compile(scaled, problem_of):
    problem = problem_of(scaled(), torch.randn(1000), 2.0)
    point = problem.space().default()
    found = worker.compile(problem.payload(point))
    assert problem.screen(found["facts"]) is None
    assert problem.screen({"shared_memory": 10**6}) and problem.screen({"spills": 5000})


SCRIPT = """
    import torch, sys
    import helion, helion.language as hl
    from helion.runtime.targets import parse_target
    from helion.tuning.tuner import Tuner
    from helion_autotune.evaluate import Measurement

    print("started")  # a worker that ran this script would print it again

    def simulated(compiled, best_ms):
        return Measurement(1.0 + compiled.facts["registers"] / 1000)

    class Simulated:
        reference = None
        __call__ = staticmethod(simulated)
        interleave = staticmethod(lambda compileds: [simulated(c, 0).milliseconds for c in compileds])
        close = staticmethod(lambda: None)

    @helion.kernel(autotune_precompile_jobs=2)
    def scaled(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
        return out

    x = torch.randn(4096)
    configs = [helion.Config(block_sizes=[b], num_warps=1) for b in (64, 128, 512)]
    tuner = Tuner(scaled.bind((x,)), (x,), parse_target("sm_90"), Simulated())
    print("fastest", tuner.fastest_given(configs).block_sizes, tuner.result.statistics.by_status)
"""


@pytest.mark.parametrize("how", ["script", "stdin"])
def test_from_a_script_without_a_main_guard_and_from_stdin(tmp_path, how):
    text = textwrap.dedent(SCRIPT)
    if how == "stdin":  # the source of a kernel on stdin cannot be read back, so the kernel comes from a module
        head, kernel = text.split("@helion.kernel")[0], "@helion.kernel" + text.split("@helion.kernel")[1]
        definition, rest = kernel.split("\nx = ")
        (tmp_path / "scaled_kernel.py").write_text(f"import torch, helion, helion.language as hl\n{definition}\n")
        text = f"{head}\nsys.path.insert(0, {str(tmp_path)!r})\nfrom scaled_kernel import scaled\nx = {rest}"
        command, given = [sys.executable, "-"], text
    else:
        (tmp_path / "script.py").write_text(text)
        command, given = [sys.executable, str(tmp_path / "script.py")], ""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)}
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=300, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == 1
    assert "fastest" in done.stdout and "{'ok': 3}" in done.stdout
    assert "Autotuning complete" in done.stderr
