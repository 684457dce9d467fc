"""Locks between threads: who waits for whom, and that compiling and interpreting do not meet."""

from __future__ import annotations

import ast
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import helion
import helion.language as hl
from helion.locks import SharedLock
from helion.runtime.targets import parse_target
from helion.syntax import CONVERTING


def begun(context):
    """A thread inside `context` and what ends it; None where it has to wait."""
    inside, ended = threading.Event(), threading.Event()

    def hold():
        with context():
            inside.set()
            ended.wait(10)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    return thread, ended, inside


def test_many_hold_a_lock_together_and_one_alone():
    lock = SharedLock()
    with lock.together(), lock.together():
        other, end_other, inside = begun(lock.together)
        assert inside.wait(10)
        alone, end_alone, owns = begun(lock.alone)
        assert not owns.wait(0.05)
    end_other.set()
    other.join(10)
    assert owns.wait(10)
    late, end_late, inside = begun(lock.together)
    assert not inside.wait(0.05)
    end_alone.set()
    assert inside.wait(10)
    end_late.set()
    for thread in (alone, late):
        thread.join(10)
        assert not thread.is_alive()


def test_who_holds_a_lock_alone_may_take_it_again():
    lock = SharedLock()
    with lock.alone(), lock.together(), lock.alone():
        pass
    _, end, inside = begun(lock.alone)
    assert inside.wait(10)
    end.set()


def test_who_holds_a_lock_together_is_told_not_to_wait_for_itself():
    lock = SharedLock()
    with lock.together(), pytest.raises(RuntimeError, match="asks for it alone"), lock.alone():
        pass
    with lock.alone():
        pass


@pytest.mark.parametrize("how", ["together", "alone"])
def test_a_child_forked_by_a_holder_has_a_free_lock(how):
    lock = SharedLock()
    with getattr(lock, how)():
        child = os.fork()
    if child == 0:
        thread, end, inside = begun(lock.alone)
        os._exit(0 if inside.wait(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@helion.kernel(autotune_effort="none")
def row_sums(x: torch.Tensor) -> torch.Tensor:
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, :].sum(1)
    return out


def test_syntax_is_parsed_by_one_thread_at_a_time(monkeypatch, tmp_path):
    """By us, by Triton for its key and for its code, and by the interpreter; see `helion.syntax`."""
    parse, turns = ast.parse, []

    def observed(*args, **kwargs):
        turns.append(CONVERTING._lock._is_owned())
        return parse(*args, **kwargs)

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ast, "parse", observed)
    x, target = torch.randn(3, 5), parse_target("sm_90")
    row_sums.reset()
    bound = row_sums.bind((x,))
    assert turns, "the source"
    turns.clear()
    bound.compile_for(target, bound.default_config(target))
    assert len(turns) >= 2 and all(turns), "the key and the code"
    turns.clear()
    torch.testing.assert_close(row_sums(x), x.sum(1))
    assert turns and all(turns), "the interpreter"


def test_kernels_are_compiled_while_others_are_interpreted():
    x = torch.randn(64, 32)
    bound, target = row_sums.bind((x,)), parse_target("sm_90")
    configs = [bound.default_config(target).replace(num_warps=w, num_stages=s) for w in (1, 2, 4, 8) for s in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        compiled = [pool.submit(bound.compile_for, target, config) for config in configs]
        while not all(f.done() for f in compiled):
            torch.testing.assert_close(row_sums(x), x.sum(1))
    assert all(f.result().registers for f in compiled)
