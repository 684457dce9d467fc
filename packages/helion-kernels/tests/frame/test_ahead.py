"""Kernels of one block are compiled beside each other. A stand-in for compilation says who compiles what, and where."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

import helion.language as hl
from helion import exc
from helion.integration import versions
from helion.runtime.specialization import Specialization
from helion.runtime.targets import parse_target
from helion_kernels import attention, attention_varlen
from helion_kernels.flash import backward, varlen
from helion_kernels.frame import ahead, choice, kernel
from helion_kernels.frame.ahead import _in_thread
from helion_kernels.frame.kernel import KERNELS
from helion_kernels.frame.samples import module_of
from helion_kernels.testing import assert_close

H100 = parse_target("sm_90")
THREAD = "helion-ahead"


def in_thread():
    return threading.current_thread().name.startswith(THREAD)


@pytest.fixture(autouse=True)
def none_left():
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith(THREAD)], "threads end with their block"


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
    """What is compiled: (kernel, whether in a thread of a block). `during(name)` is called meanwhile."""

    def __init__(self):
        self.done = []
        self.during = lambda name: None

    def __call__(self, bound, args, target=None):
        name = bound.kernel.name
        self.done.append((name, in_thread()))
        self.during(name)
        return bound.spec_for(H100).default()


@pytest.fixture
def compiler(monkeypatch):
    """CPU tensors count as those of an H100, for which there is something to compile."""
    found = Compiler()
    monkeypatch.setattr(Specialization, "target", H100)
    monkeypatch.setattr(choice, "default", found)
    return found


BESIDE = [("doubled", False), ("tripled", True)]


def launched(pair, x, asked=None):
    """The second kernel computes what the first one gives; only its form is known before."""

    def arguments():
        if asked is not None:
            asked.append(in_thread())
        return ((torch.empty_like(x),),)

    first, second = pair
    with ahead((second,), arguments):
        return second(first(x))


def test_both_at_once(pair, compiler, monkeypatch):
    meeting, streams = threading.Barrier(2), []
    compiler.during = lambda name: meeting.wait(20)
    monkeypatch.setattr(versions, "capturing", lambda: streams.append(in_thread()) or False)
    x = torch.randn(50)
    torch.testing.assert_close(launched(pair, x), x * 6)
    assert sorted(compiler.done) == BESIDE
    assert streams and not any(streams), "the stream of a thread is not that of its caller"


def test_later_calls_ask_for_nothing(pair, compiler):
    asked, x = [], torch.randn(50)
    for _ in range(3):
        launched(pair, x, asked)
    assert asked == [False]
    launched(pair, torch.randn(70), asked)
    assert len(asked) == 2, "other sizes are compiled again"


def test_what_is_compiled_already_is_left_alone(pair, compiler):
    x = torch.randn(50)
    pair[1](x)
    torch.testing.assert_close(launched(pair, x), x * 6)
    assert compiler.done == [("tripled", False), ("doubled", False)]


def test_a_kernel_that_is_launched_again_is_compiled_once(pair, compiler):
    x, first = torch.randn(50), pair[0]
    torch.testing.assert_close(launched((first, first), x), x * 4)
    assert compiler.done == [("doubled", False)]


@pytest.mark.parametrize("broken", [("doubled",), ("tripled",), ("doubled", "tripled")], ids="-".join)
def test_errors_are_those_of_launches_in_order(pair, compiler, broken):
    raised = {}

    def during(name):
        if name in broken:
            raised[name] = exc.InvalidArgument(what=name, instead="compile")
            raise raised[name]

    compiler.during = during
    for _ in range(2):
        with pytest.raises(exc.InvalidArgument, match=broken[0]) as found:
            launched(pair, torch.randn(50))
        assert found.value is raised[broken[0]]
    names = [name for name, _ in compiler.done]
    assert all(names.count(name) <= 2 for name in names), "once in each of two blocks"
    compiler.during = lambda name: None
    x = torch.randn(50)
    torch.testing.assert_close(launched(pair, x), x * 6)


def test_errors_of_arguments_are_those_of_the_launch(pair, compiler):
    x = torch.randn(50)
    with ahead((pair[1],), lambda: ((object(),),)):
        torch.testing.assert_close(pair[0](x), x * 2)
    with ahead((pair[1],), lambda: [[1 / 0]]):
        torch.testing.assert_close(pair[1](pair[0](torch.cat([x, x]))), torch.cat([x, x]) * 6)


def test_no_thread_can_be_started(pair, compiler, monkeypatch):
    """As when the interpreter exits."""

    def refuse(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    x = torch.randn(50)
    torch.testing.assert_close(launched(pair, x), x * 6)
    assert compiler.done == [("doubled", False), ("tripled", False)]


@pytest.mark.parametrize("where", ["doubled", "tripled"], ids=["compiling", "waiting"])
def test_an_interrupt_stops(pair, compiler, monkeypatch, where):
    """In what this thread compiles, or while it waits for another one."""
    waiting, result = threading.Event(), Future.result

    def during(name):
        if name == where:
            assert name == "doubled" or waiting.wait(20)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.05)

    compiler.during = during
    monkeypatch.setattr(Future, "result", lambda future: waiting.set() or result(future))
    with pytest.raises(KeyboardInterrupt):
        launched(pair, torch.randn(50))
    compiler.during = lambda name: None
    compiler.done.clear()
    made(5, "other")(torch.randn(50))
    assert compiler.done == [("other", False)], "the block is over"
    x = torch.randn(50)
    torch.testing.assert_close(launched(pair, x), x * 6)


def test_two_threads_at_once(pair, compiler):
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
    assert len(results) == 4
    for result in results:
        torch.testing.assert_close(result, x * 6)


def test_blocks_of_other_threads_do_not_count(pair, compiler):
    with ahead((pair[1],), lambda: ((torch.randn(50),),)):
        thread = threading.Thread(target=lambda: pair[0](torch.randn(50)))
        thread.start()
        thread.join(60)
    assert compiler.done == [("doubled", False)]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_compiles_for_itself(pair, compiler):
    """Nothing of the child waits for threads that it does not have."""
    begun, proceed = threading.Barrier(3), threading.Event()
    launched(pair, torch.randn(70))  # no locks of imports, nor others than ours, are held as it forks

    def during(name):
        begun.wait(20)
        proceed.wait(20)

    compiler.during = during
    x = torch.randn(50)
    calling = threading.Thread(target=launched, args=(pair, x))
    calling.start()
    begun.wait(20)
    child = os.fork()
    if not child:
        signal.alarm(20)
        compiler.during = lambda name: None
        os._exit(not torch.equal(launched(pair, x), x * 6))
    proceed.set()
    calling.join(60)
    assert os.waitpid(child, 0)[1] == 0


def test_nothing_where_another_chooses(pair, compiler):
    """As while tuning, which measures what it chooses."""
    asked, chosen = [], []
    with choice.chosen_by(lambda op, bound, args: chosen.append(in_thread())):
        launched(pair, torch.randn(50), asked)
    assert chosen == [False, False] and not asked


def test_nothing_in_the_interpreter(pair):
    asked, x = [], torch.randn(50)
    torch.testing.assert_close(launched(pair, x, asked), x * 6)
    assert not asked


def test_nothing_during_a_capture(pair, compiler, monkeypatch):
    asked = []
    monkeypatch.setattr(versions, "capturing", lambda: True)
    with pytest.raises(exc.WorkDuringCapture):
        launched(pair, torch.randn(50), asked)
    assert not asked and not compiler.done


def test_a_thread_is_on_the_gpu_of_its_tensors(monkeypatch):
    """A new one is on the first GPU."""
    current = []

    @contextlib.contextmanager
    def entered(device):
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", entered)
    second = torch.device("cuda", 1)
    bound = SimpleNamespace(device=second, kernel=SimpleNamespace(chooser=lambda bound, args: [*current, *args]))
    assert _in_thread(bound, (3,)) == [second, 3] and not current
    bound.device = torch.device("cpu")
    assert _in_thread(bound, (3,)) == [3]


def test_configs_are_those_of_kernels_alone(pair, monkeypatch):
    """Compiled in earnest, one whose preferred config spills so much that the planner has the word."""

    @kernel("softmax", prefer=lambda _: {"block_sizes": [8], "num_warps": 1})
    def normalised(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile, :] = torch.softmax(x[tile, :], dim=1)
        return out

    KERNELS.remove(normalised)
    x, threads, default = torch.randn([16, 2048]), [], choice.default
    monkeypatch.setattr(Specialization, "target", H100)
    monkeypatch.setattr(choice, "default", lambda bound, args: threads.append(in_thread()) or default(bound, args))
    with ahead((normalised,), lambda: ((torch.empty_like(x),),)):
        pair[0](x[0])
        found = normalised(x)
    bound = normalised.bind((x,))
    assert sorted(threads) == [False, True]
    assert bound.config == default(bound, (x,)) == bound.default_config() and bound.config.block_sizes != (8,)
    torch.testing.assert_close(found, x.softmax(1))


# --- backward passes


def _attention(device):
    q, k, v = (torch.randn(1, 2, 24, 16).to(device).requires_grad_() for _ in range(3))
    return (q, k, v), attention(q, k, v, is_causal=True, return_lse=True)


def _attention_varlen(device):
    q, k, v = (torch.randn(24, 2, 16).to(device).requires_grad_() for _ in range(3))
    begins = torch.tensor([0, 9, 24], dtype=torch.int32, device=device)
    return (q, k, v), attention_varlen(q, k, v, begins, begins, 15, 15, window_size=(-1, 0), return_lse=True)


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
    leaves, (out, logs) = call(device)
    return torch.autograd.grad(out.square().sum() + logs.sum(), leaves)


def forgotten():
    for known in KERNELS:
        known.reset()


def bounds():
    return [bound for known in KERNELS for found in known._bound.values() for bound in found]


@BACKWARD
def test_the_backward_passes(call, kernels, compiler, interpret):
    """What stands for the result of the first kernel is just like it: nothing is compiled that is not launched."""
    forgotten()
    try:
        found = gradients(call)
        where = dict(compiler.done)
        assert all(where.pop(k.kernels[1].name) for k in kernels)
        assert list(where.values()) == [False, False] and len(compiler.done) == len(bounds()) == 4
        assert_close(gradients(call), found, 0)
    finally:
        forgotten()  # configs are those of a GPU


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """What chooses a config on a GPU with empty caches: kernel to (whether in a thread of a block, current device)."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    found, config = {}, choice.config

    def recording(op, bound, args):
        found[bound.kernel.name] = in_thread(), torch.cuda.current_device()
        return config(op, bound, args)

    monkeypatch.setattr(choice, "config", recording)
    forgotten()
    return found


@pytest.mark.gpu
@BACKWARD
def test_on_a_gpu(call, kernels, recorded):
    """Compiled in threads, for exactly what is launched, from a thread of autograd's; the numbers are torch's."""
    first = gradients(call, "cuda")
    where = [recorded.pop(k.kernels[1].name) for k in kernels]
    assert where == [(True, 0)] * 2 and list(recorded.values()) == [(False, 0)] * 2
    assert len(bounds()) == 4
    assert_close([t.cpu() for t in first], gradients(call), 1e-4)
    assert_close(gradients(call, "cuda"), first, 0)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@BACKWARD
def test_on_another_gpu_than_the_current_one(call, kernels, recorded):
    first = gradients(call, "cuda:1")
    assert torch.cuda.current_device() == 0 and all(t.device.index == 1 for t in first)
    assert [recorded[k.kernels[1].name] for k in kernels] == [(True, 1)] * 2
    assert_close([t.cpu() for t in first], gradients(call), 1e-4)
    assert_close([t.cpu() for t in gradients(call, "cuda:0")], [t.cpu() for t in first], 1e-6)


def _backward_op(name):
    """The gradients' operator, and arguments of which tensors can be changed in place."""
    module = module_of(name)
    if name == "attention":
        q, k, v = (torch.randn(1, 2, 24, 16, device="cuda") for _ in range(3))
        out, logs = module.attention_op(q, k, v, None, 0.25, -1, 0)
        return module.attention_backward_op, (torch.randn_like(out), None, q, k, v, None, out, logs, 0.25, -1, 0, False)
    q, k, v = (torch.randn(24, 2, 16, device="cuda") for _ in range(3))
    begins = torch.tensor([0, 9, 24], dtype=torch.int32, device="cuda")
    rest = (begins, begins, 15, 15, 0.25, -1, 0)
    out, logs = module.varlen_op(q, k, v, *rest)
    return module.varlen_backward_op, (torch.randn_like(out), None, q, k, v, out, logs, *rest)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["attention", "attention_varlen"])
def test_captured_on_a_gpu(name, recorded):
    """A first call is refused, with nothing begun; what it left does not disturb later ones, captured or not."""
    operator, args = _backward_op(name)
    before = dict(recorded)
    with pytest.raises(exc.WorkDuringCapture), torch.cuda.graph(torch.cuda.CUDAGraph()):
        operator(*args)
    assert recorded == before
    expected = operator(*args)
    assert sum(inside for inside, _ in recorded.values()) == 2
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = operator(*args)
    for factor in (1, 2):  # gradients are linear in that of the output
        graph.replay()
        assert_close(found, [t * factor for t in expected], 1e-6)
        args[0].mul_(2)
