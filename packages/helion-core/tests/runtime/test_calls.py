"""Repeated calls: a call like the last one is recognised without a key, and nothing else is taken for it."""

import os
import signal
import threading
import time
from dataclasses import dataclass

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad

import helion
import helion.language as hl
from helion import exc
from helion.runtime.recognition import recent
from helion.runtime.recognition.keys import key_function

FACTOR = 2.0


def make():
    @helion.kernel(use_default_config=True)
    def scaled(x, n=1, flag=False, dtype=torch.float32, name="a", extra=None):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * FACTOR + n
        return out

    return scaled


def settled(kernel, *args):
    """The kernel after enough calls with `args` to know the signature, and how often a key is built from then on."""
    for _ in range(4):
        kernel(*args)
    built = []
    parts = kernel._parts
    kernel._parts = lambda *args: built.append(1) or parts(*args)
    return built


X = torch.randn(8)


def test_the_same_signature_again_builds_no_key():
    kernel = make()
    built = settled(kernel, X)
    for n in (1, 5, 2**40):
        torch.testing.assert_close(kernel(torch.ones(8), n), torch.full((8,), 2.0 + n))
    kernel(X)
    assert not built


@pytest.mark.parametrize(
    "args",
    [
        (torch.randn(9),), (torch.randn(16)[::2],), (X.double(),), (X, 1.5), (X, True), (X, 1, True),
        (X, 1, False, torch.float16), (X, 1, False, torch.float32, "b"), (X, 1, False, torch.float32, "a", 3),
        (X, 1, False, torch.float32, "a", [X]),
    ],
    ids=["size", "strides", "dtype", "float", "bool", "flag", "torch dtype", "string", "constant", "list"],
)  # fmt: skip
def test_what_has_another_key_is_told_apart(args):
    kernel = make()
    built = settled(kernel, X)
    kernel(*args)
    assert built


def test_matchers_agree_with_keys():
    """Over all pairs of argument lists: a match implies equal keys."""
    space = [
        X, X.clone(), torch.randn(4, 2), torch.randn(2, 4).t(), X.to(torch.int32), torch.nn.Parameter(X), 1, 7, 1.0,
        True, False, None, "a", "b", torch.float32, torch.device("cpu"), (X, 1), (X.double(), 1), [1], float("nan"),
        max,
    ]  # fmt: skip
    key = key_function(["a", "b"], {"b"}, set())
    matched = 0
    for first in space:
        for second in (X, 3, None):
            example = (first, second)
            matches = recent.matcher(example, key(*example), lambda v: key(0, v)[1], [])
            for other in space:
                for last in (X, 3, 4, None):
                    if matches(other, last):
                        matched += 1
                        assert key(other, last) == key(*example), (example, other, last)
    assert matched >= 3 * (len(space) - 1)


@helion.kernel(use_default_config=True)
def weighted(x, y, n, z):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + 10 * y[tile] + n * z[tile]
    return out


@pytest.mark.parametrize("pattern", ["aaa", "aab", "aba", "baa", "abc"])
def test_a_tensor_passed_several_times_builds_no_key(pattern):
    weighted.reset()

    def called(pattern, size=8):
        tensors = {name: torch.randn(size) for name in "abc"}
        x, y, z = (tensors[name] for name in pattern)
        torch.testing.assert_close(weighted(x, y, 100, z), x + 10 * y + 100 * z)

    for _ in range(4):
        called(pattern)
    matches = weighted._known.calls[0].matches
    assert matches(X, X, 3, X) is (pattern == "aaa")
    shared = {name: torch.randn(8) for name in "abc"}
    assert matches(shared[pattern[0]], shared[pattern[1]], 3, shared[pattern[2]])
    for other in {"aaa", "aab", "aba", "baa", "abc"} - {pattern}:
        x, y, z = (shared[name] for name in other)
        assert not matches(x, y, 3, z)
        called(other)
    called(pattern, size=9)


def test_without_torchs_guards_keys_decide(monkeypatch):
    monkeypatch.setattr(recent, "tensor_guards", lambda: None)
    kernel = make()
    built = settled(kernel, X)
    torch.testing.assert_close(kernel(X), X * 2 + 1)
    assert built


def test_a_captured_global_is_looked_at_every_time(monkeypatch):
    kernel = make()
    settled(kernel, X)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    torch.testing.assert_close(kernel(X), X * 3 + 1)


def test_modes_and_gradients():
    kernel = make()
    settled(kernel, X)
    with torch.inference_mode():
        for _ in range(3):
            torch.testing.assert_close(kernel(torch.ones(8)), torch.full((8,), 3.0))
    with torch.no_grad():
        torch.testing.assert_close(kernel(X), X * 2 + 1)
    torch.testing.assert_close(kernel(X.clone().requires_grad_()), X * 2 + 1)
    torch.testing.assert_close(kernel(torch.nn.Parameter(X)), X * 2 + 1)
    torch.testing.assert_close(kernel(X), X * 2 + 1)


def test_tensors_inside_others_are_seen_by_transforms():
    @helion.kernel(use_default_config=True)
    def doubled(xs):
        out = torch.empty_like(xs[0])
        for tile in hl.tile(out.size(0)):
            out[tile] = xs[0][tile] * 2
        return out

    built = settled(doubled, [X])
    torch.testing.assert_close(doubled([X]), X * 2)
    assert not built
    torch.testing.assert_close(torch.func.vmap(lambda x: doubled([x]))(torch.ones(3, 8)), torch.full((3, 8), 2.0))
    with pytest.raises(exc.TransformNotSupported):
        torch.func.grad(lambda x: doubled([x]).sum())(X)
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(X)
    assert isinstance(doubled([fake]), FakeTensor)


def test_a_lazily_negated_view_is_what_it_shows():
    @helion.kernel(use_default_config=True)
    def moved(x, y):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
            y[tile] = y[tile] + x[tile]
        return out

    z = torch.view_as_complex(torch.randn(8, 2)).conj()
    x = z.imag
    assert x.is_neg()
    plain, y = x.clone(), torch.zeros(8)
    for first in (x, plain, plain, plain, x):
        before = y.clone()
        torch.testing.assert_close(moved(first, y), plain * 2)
        torch.testing.assert_close(y, before + plain)
    with pytest.raises(RuntimeError):  # torch's own operators take no such view to write to
        moved(plain, x)


def test_forward_mode_differentiation_is_seen():
    kernel = make()
    settled(kernel, X)
    with forward_ad.dual_level(), pytest.raises(exc.TransformNotSupported):
        kernel(forward_ad.make_dual(X, torch.ones(8)))
    torch.testing.assert_close(kernel(X), X * 2 + 1)


def test_reset_and_set_config_are_seen():
    kernel = make()
    settled(kernel, X)
    bound = kernel.bind((X,))
    bound.set_config({"block_sizes": [4]})
    ran = []
    bound._chosen = lambda *args: ran.append(args)
    kernel(X)
    assert ran
    kernel.reset()
    torch.testing.assert_close(kernel(X), X * 2 + 1)
    assert kernel.bind((X,)) is not bound


def test_tensors_are_not_kept_alive():
    import gc
    import weakref

    kernel = make()
    x = torch.randn(8)
    settled(kernel, x)
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None


def test_an_unknown_argument_is_named():
    kernel = make()
    settled(kernel, X)
    with pytest.raises(exc.UnsupportedArgument, match="extra"):
        kernel(X, 1, False, torch.float32, "a", 1j)


@dataclass
class Scale:
    by: float


def test_objects_are_compared_by_what_they_hold():
    @helion.kernel(use_default_config=True)
    def times(x, scale):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * scale.by
        return out

    scale = Scale(2.0)
    built = settled(times, X, scale)
    torch.testing.assert_close(times(X, scale), X * 2)
    assert not built
    scale.by = 5.0
    torch.testing.assert_close(times(X, scale), X * 5)
    assert built


# --- threads and processes ------------------------------------------------------------------------------------------


def test_two_threads_bind_once():
    kernel = make()
    start = threading.Barrier(4)
    results = []

    def work():
        start.wait()
        results.append(kernel(X))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and sum(map(len, kernel._bound.values())) == 1
    for result in results:
        torch.testing.assert_close(result, X * 2 + 1)


def test_threads_with_several_shapes_and_resets():
    kernel = make()
    inputs = [torch.randn(n) for n in (4, 8, 12)]
    wrong = []

    def work(x):
        for _ in range(6):
            if not torch.allclose(kernel(x), x * 2 + 1):
                wrong.append(x.shape)

    threads = [threading.Thread(target=work, args=(x,)) for x in inputs]
    for thread in threads:
        thread.start()
    kernel.reset()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_child_calls_a_bound_kernel():
    kernel = make()
    settled(kernel, X)
    held = threading.Event()
    release = threading.Event()

    def hold():
        with kernel._lock:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        right = torch.equal(kernel(X), X * 2 + 1) and torch.equal(kernel(torch.ones(3)), torch.full((3,), 3.0))
        os._exit(0 if right else 1)
    release.set()
    thread.join()
    assert _ended(child, 60.0) == 0


def _ended(child: int, seconds: float) -> int:
    """The exit status of a child that ends in time; one that hangs is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
