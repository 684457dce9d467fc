"""Modules that Triton builds for launches, built while the kernel is compiled."""

from __future__ import annotations

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
