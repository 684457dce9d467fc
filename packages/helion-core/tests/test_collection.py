"""Imports without garbage collection: what is collected when, and whose settings stay."""

import gc
import subprocess
import sys
import weakref

import pytest

from helion.collection import uncollected


class Node:
    """Part of a cycle."""

    def __init__(self):
        self.own = self


@pytest.fixture(autouse=True)
def settings_stay():
    yield
    gc.unfreeze()
    gc.enable()


def passes(function):
    """How often garbage was collected while `function` ran."""
    found = []
    gc.callbacks.append(lambda phase, info: found.append(info["generation"]) if phase == "start" else None)
    try:
        function()
    finally:
        gc.callbacks.pop()
    return found


def test_nothing_is_collected_meanwhile():
    def make():
        with uncollected():
            kept.extend([] for _ in range(50_000))

    kept: list = []
    assert passes(make) == [] and gc.isenabled() and len(kept) == 50_000
    assert 2 not in passes(lambda: kept.extend([] for _ in range(3_000)))  # what was made counts as old


def test_garbage_made_meanwhile_is_collected_later():
    with uncollected():
        seen = weakref.ref(Node())
        assert seen() is not None
    gc.collect()
    assert seen() is None


def test_errors_leave_collection_on():
    with pytest.raises(ZeroDivisionError), uncollected():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_those_who_do_without_collection_keep_doing_so():
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_one_inside_another():
    with uncollected():
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_frozen_objects_stay_frozen():
    gc.freeze()
    frozen = gc.get_freeze_count()
    with uncollected():
        more = [[] for _ in range(1000)]
    assert 0 < gc.get_freeze_count() <= frozen and gc.isenabled() and more


def test_a_first_bind_makes_no_full_pass(tmp_path):
    script = """
import gc, sys, torch, helion, helion.language as hl
@helion.kernel(use_default_config=True)
def double(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out
x, full = torch.empty(100), []
gc.collect()
gc.callbacks.append(lambda phase, info: full.append(1) if phase == "start" and info["generation"] == 2 else None)
double.bind((x,)).to_triton_code()
assert "sympy" in sys.modules and "triton" in sys.modules
print(len(full))
"""
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"
