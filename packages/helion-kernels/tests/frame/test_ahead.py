"""Kernels of one block are compiled beside each other. A stand-in for compilation says who compiles what, and where."""

from __future__ import annotations

import threading

import pytest
import torch

import helion.language as hl
from helion import exc
from helion.runtime.specialization import Specialization
from helion.runtime.targets import parse_target
from helion_kernels import attention, attention_varlen
from helion_kernels.flash import backward, varlen
from helion_kernels.frame import ahead, choice, kernel
from helion_kernels.frame.kernel import KERNELS

H100 = parse_target("sm_90")
HELPER = "helion-ahead"


def made(factor, name):
    @kernel("softmax")
    def scaled(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * factor
        return out

    KERNELS.remove(scaled)  # nobody else's business
    scaled.name = name
    return scaled


@pytest.fixture
def pair():
    return made(2, "doubled"), made(3, "tripled")


class Compiler:
    """What is compiled: (kernel, thread). `during(name)` is called meanwhile."""

    def __init__(self):
        self.done = []
        self.during = lambda name: None

    def __call__(self, bound, args, target=None):
        name = bound.kernel.name
        self.done.append((name, threading.current_thread().name))
        self.during(name)
        return bound.spec_for(H100).default()

    @property
    def threads(self):
        return dict(self.done)


@pytest.fixture
def compiler(monkeypatch):
    """CPU tensors count as those of an H100, for which there is something to compile."""
    found = Compiler()
    monkeypatch.setattr(Specialization, "target", H100)
    monkeypatch.setattr(choice, "default", found)
    return found


def launched(pair, x, asked=None):
    """The second kernel computes what the first one gives; only its form is known before."""

    def arguments():
        if asked is not None:
            asked.append(threading.current_thread().name)
        return ((torch.empty_like(x),),)

    first, second = pair
    with ahead((second,), arguments):
        return second(first(x))


def test_both_at_once(pair, compiler):
    meeting = threading.Barrier(2)
    compiler.during = lambda name: meeting.wait(20)
    x = torch.randn(50)
    torch.testing.assert_close(launched(pair, x), x * 6)
    assert len(compiler.done) == 2 and compiler.threads["tripled"] == HELPER != compiler.threads["doubled"]


def test_later_calls_ask_for_nothing(pair, compiler):
    asked, x = [], torch.randn(50)
    for _ in range(3):
        launched(pair, x, asked)
    assert len(asked) == 1
    launched(pair, torch.randn(70), asked)
    assert len(asked) == 2, "other sizes are compiled again"


def test_what_is_compiled_already_is_left_alone(pair, compiler):
    x = torch.randn(50)
    pair[1](x)
    torch.testing.assert_close(launched(pair, x), x * 6)
    assert len(compiler.done) == 2 and HELPER not in compiler.threads.values()


def test_a_kernel_that_is_launched_again_waits_for_itself(pair, compiler):
    x, first = torch.randn(50), pair[0]
    torch.testing.assert_close(launched((first, first), x), x * 4)
    assert len(compiler.done) == 1


@pytest.mark.parametrize("broken", [("doubled",), ("tripled",), ("doubled", "tripled")])
def test_errors_come_in_order(pair, compiler, broken):
    def during(name):
        if name in broken:
            raise exc.InvalidArgument(what=name, instead="compile")

    compiler.during = during
    for _ in range(2):
        with pytest.raises(exc.InvalidArgument, match=broken[0]):
            launched(pair, torch.randn(50))
    compiler.during = lambda name: None
    launched(pair, torch.randn(50))


def test_errors_of_arguments_are_those_of_the_launch(pair, compiler):
    x = torch.randn(50)
    with ahead((pair[1],), lambda: ((object(),),)):
        torch.testing.assert_close(pair[0](x), x * 2)
    with ahead((pair[1],), lambda: [[1 / 0]]):
        torch.testing.assert_close(pair[1](pair[0](x + 1)), x * 6 + 6)


def test_an_interrupt_stops(pair, compiler):
    def during(name):
        if name == "doubled":
            raise KeyboardInterrupt

    compiler.during = during
    with pytest.raises(KeyboardInterrupt):
        launched(pair, torch.randn(50))
    compiler.during = lambda name: None
    made(5, "other")(torch.randn(50))
    assert compiler.threads["other"] != HELPER
    launched(pair, torch.randn(50))


def test_an_interrupt_does_not_wait(pair, compiler):
    """As of a launch that waits for what a thread compiles."""
    proceed = threading.Event()

    def during(name):
        if threading.current_thread().name == HELPER:
            proceed.wait(20)

    compiler.during = during
    with pytest.raises(KeyboardInterrupt), ahead((pair[1],), lambda: ((torch.randn(50),),)):
        pair[0](torch.randn(50))
        raise KeyboardInterrupt
    assert not proceed.is_set()
    proceed.set()


def test_two_threads_at_once(pair, compiler):
    """Each kernel is compiled once, and all have the right results."""
    start, results = threading.Barrier(4), []
    x = torch.randn(50)

    def call():
        start.wait(20)
        results.append(launched(pair, x))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(name for name, _ in compiler.done) == ["doubled", "tripled"] and len(results) == 4
    for result in results:
        torch.testing.assert_close(result, x * 6)


def test_blocks_of_other_threads_do_not_count(pair, compiler):
    with ahead((pair[1],), lambda: ((torch.randn(50),),)):
        thread = threading.Thread(target=lambda: pair[0](torch.randn(50)), name="elsewhere")
        thread.start()
        thread.join(60)
    assert compiler.done == [("doubled", "elsewhere")]


def test_nothing_where_another_chooses(pair, compiler):
    """As while tuning, which measures what it chooses."""
    asked, chosen = [], []
    with choice.chosen_by(lambda op, bound, args: chosen.append(threading.current_thread().name)):
        launched(pair, torch.randn(50), asked)
    assert len(chosen) == 2 and HELPER not in chosen and not asked


def test_nothing_in_the_interpreter(pair):
    asked, x = [], torch.randn(50)
    torch.testing.assert_close(launched(pair, x, asked), x * 6)
    assert not asked


def _attention(device="cpu"):
    q, k, v = (torch.randn(1, 2, 24, 16, device=device, requires_grad=True) for _ in range(3))
    return (q, k, v), attention(q, k, v, is_causal=True)


def _attention_varlen(device="cpu"):
    q, k, v = (torch.randn(24, 2, 16, device=device, requires_grad=True) for _ in range(3))
    begins = torch.tensor([0, 9, 24], dtype=torch.int32, device=device)
    return (q, k, v), attention_varlen(q, k, v, begins, begins, 15, 15, window_size=(-1, 0))


BACKWARD = pytest.mark.parametrize(
    ("call", "kernels"),
    [
        (_attention, (backward.attention_dq, backward.attention_dkdv)),
        (_attention_varlen, (varlen.varlen_dq, varlen.varlen_dkdv)),
    ],
    ids=["attention", "attention_varlen"],
)


def gradients(call, device="cpu"):
    torch.manual_seed(0)
    leaves, out = call(device)
    return torch.autograd.grad(out.square().sum(), leaves)


@BACKWARD
def test_the_backward_passes(call, kernels, compiler, interpret):
    """What stands for the result of the first kernel is just like it: nothing is compiled that is not launched."""
    for known in KERNELS:
        known.reset()
    try:
        found = gradients(call)
        names = [k.kernels[0].name for k in kernels]
        assert [compiler.threads[name] for name in names] == [HELPER, HELPER]
        assert len(compiler.done) == 4, "forward, delta, dq, dkdv"
        assert sum(len(bounds) for known in KERNELS for bounds in known._bound.values()) == 4
        torch.testing.assert_close(gradients(call), found, rtol=0, atol=0)
    finally:
        for known in KERNELS:  # whose configs are those of a GPU
            known.reset()


@pytest.mark.gpu
@BACKWARD
def test_the_backward_passes_on_a_gpu(call, kernels, monkeypatch, tmp_path):
    """Compiled in threads of their own, for exactly what is launched, from a thread of autograd's."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    chosen, config = {}, choice.config

    def recorded(op, bound, args):
        chosen[bound.kernel.name] = threading.current_thread().name
        return config(op, bound, args)

    monkeypatch.setattr(choice, "config", recorded)
    for known in KERNELS:
        known.reset()
    first = gradients(call, "cuda")
    assert [chosen[k.kernels[0].name] for k in kernels] == [HELPER, HELPER]
    assert sum(len(bounds) for known in KERNELS for bounds in known._bound.values()) == 4
    torch.testing.assert_close(gradients(call, "cuda"), first, rtol=0, atol=0)
