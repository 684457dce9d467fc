"""Modules that Triton builds for launches, built while the kernel is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from helion.runtime.binaries.compile import compile_kernel
from helion.runtime.launching import modules
from helion.runtime.targets import parse_target

KERNEL = """
import triton
import triton.language as tl

@triton.jit
def copy(x, out):
    tl.store(out, tl.load(x))
"""


@pytest.fixture(autouse=True)
def _nothing_begun(monkeypatch):
    monkeypatch.setattr(modules, "_building", {})


def source(*types):
    return SimpleNamespace(signature=dict(enumerate(types)))


def test_each_is_begun_once_and_waited_for(monkeypatch):
    started, may_end, begun, ended = threading.Event(), threading.Event(), [], []

    def building(name):
        begun.append(name)
        started.set()
        assert may_end.wait(30)
        ended.append(name)

    monkeypatch.setattr(modules, "_driver", lambda: building("driver"))
    monkeypatch.setattr(modules, "_launcher", lambda source: building(tuple(source.signature.values())))
    for types in (("*bf16", "i32"), ("*bf16", "i32"), ("*fp32",)):
        modules.build(source(*types))  # comes back at once
    assert not ended
    assert started.wait(30) and begun == ["driver"]  # launchers look for what its module defines
    may_end.set()
    modules.built()
    assert ended[0] == "driver"
    assert sorted(map(str, begun)) == sorted(map(str, ended)) == ["('*bf16', 'i32')", "('*fp32',)", "driver"]


def test_what_fails_is_left_to_triton(monkeypatch):
    def failing(*_):
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(modules, "_driver", failing)
    monkeypatch.setattr(modules, "_launcher", failing)
    modules.build(source("*bf16"))
    modules.built()


@pytest.mark.parametrize(("one_a_signature", "loaded"), [(True, True), (True, False), (False, True)])
def test_a_launcher_is_built_before_its_kernel_is_compiled(monkeypatch, one_a_signature, loaded):
    """As Triton 3.6 does it; its source depends on whether there are descriptors, and not on what is in them. One that
    was loaded before the driver's module would refuse its descriptors.
    """
    from triton.backends.nvidia import driver

    made = []
    monkeypatch.setattr(driver, "PyCUtensorMap", object if loaded else None)
    monkeypatch.setattr(driver, "CudaLauncher", lambda source, metadata: made.append(metadata))
    if one_a_signature:
        monkeypatch.setattr(driver, "make_launcher", None, raising=False)
    else:
        monkeypatch.delattr(driver, "make_launcher", raising=False)
    modules._launcher(source("*bf16", "tensordesc<bf16[64, 64]>", "i32", "tensordesc<bf16[64, 64]>"))
    assert [len(m.tensordesc_meta) for m in made] == ([2] if one_a_signature and loaded else [])
    assert not any(m.launch_pdl or m.global_scratch_size for m in made)


def test_nothing_is_built_for_a_kernel_that_an_earlier_process_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    monkeypatch.setenv("HELION_CACHE_DIR", str(tmp_path / "helion"))
    begun = []
    for _ in range(2):
        compile_kernel(KERNEL, "copy", ["*fp32", "*fp32"], parse_target("sm_90"), {}, meanwhile=begun.append)
    assert [list(s.signature.values()) for s in begun] == [["*fp32", "*fp32"]]


def test_where_no_thread_starts_triton_builds_what_it_needs(monkeypatch):
    def refused(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        modules.build(source("*bf16"))
    modules.built()
    assert not modules._building


def test_others_wait_while_a_thread_is_started(monkeypatch):
    """`built` joins threads of every caller, and one that did not start cannot be joined."""
    starting, may_start, start = threading.Event(), threading.Event(), threading.Thread.start

    def slow(thread):
        if thread.name == "helion-build":
            starting.set()
            assert may_start.wait(30)
        start(thread)

    monkeypatch.setattr(modules, "_driver", lambda: None)
    monkeypatch.setattr(modules, "_launcher", lambda _: None)
    monkeypatch.setattr(threading.Thread, "start", slow)
    errors = []

    def wait():
        try:
            modules.built()
        except RuntimeError as error:
            errors.append(error)

    first, second = threading.Thread(target=modules.build, args=[source("*bf16")]), threading.Thread(target=wait)
    first.start()
    assert starting.wait(30)
    second.start()
    second.join(0.05)
    may_start.set()
    first.join(30)
    second.join(30)
    assert not errors


EXITS = """
from types import SimpleNamespace
from triton.runtime.build import compile_module_from_src
from helion.runtime.launching import modules

modules._driver = lambda: compile_module_from_src("void *PyInit_m(void) { return 0; }", "m")
modules._launcher = lambda _: None
modules.build(SimpleNamespace(signature={0: "i32"}))
"""


def test_a_process_that_exits_lets_the_compiler_end(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nsleep 0.5\nexec cc "$@"\n')
    compiler.chmod(0o755)
    env = {**os.environ, "CC": str(compiler), "TRITON_CACHE_DIR": str(tmp_path / "triton")}
    ended = subprocess.run([sys.executable, "-c", EXITS], env=env, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(tmp_path.glob("triton/*/m.*"))
