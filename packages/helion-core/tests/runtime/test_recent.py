"""Calls of several kinds that take turns: each is recognised, none is taken for another; what is kept has a limit."""

import math
import sys
import threading
import time

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

import helion
import helion.language as hl
from helion.runtime.recognition import recent
from helion.runtime.recognition.recent import Call, Known, Signature, matcher

FACTOR = 2.0
SIZES = (4, 5, 8, 16, 3, 33, 7, 12)
STATIC = pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])


def make(static=True):
    @helion.kernel(use_default_config=True, static_shapes=static)
    def scaled(x, n=1):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * FACTOR + n
        return out

    return scaled


def stepped(x, n):
    """Asks for its number."""
    out = torch.empty_like(x)
    step = 1 if n <= 1 else 16 if n % 16 == 0 else 2 if n < 2**31 else 3
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * step + n
    return out


def stepped_by_hand(x, n):
    step = 1 if n <= 1 else 16 if n % 16 == 0 else 2 if n < 2**31 else 3
    return x * step + n


def looked_up(kernel):
    """Grows by one with each call that needs a key."""
    built: list[int] = []
    parts = kernel._parts
    kernel._parts = lambda *args: built.append(1) or parts(*args)
    return built


@STATIC
@pytest.mark.parametrize("kinds", [2, 8])
def test_calls_that_take_turns_build_no_key(static, kinds):
    kernel = make(static)
    inputs = [torch.randn(n) for n in SIZES[:kinds]]
    for _ in range(3):
        for x in inputs:
            kernel(x)
    built = looked_up(kernel)
    for _ in range(12):  # long enough for some to change places
        for x in inputs:
            torch.testing.assert_close(kernel(x), x * 2 + 1)
    assert not built


def test_layouts_dtypes_and_gradients_that_take_turns():
    kernel = make(static=False)
    x = torch.randn(6)
    inputs = [x, torch.randn(12)[::2], x.double(), torch.nn.Parameter(x), torch.randn(6, requires_grad=True)]

    def turn():
        for y in inputs:
            torch.testing.assert_close(kernel(y), y.detach() * 2 + 1)
            with torch.no_grad():
                torch.testing.assert_close(kernel(y, 3), y * 2 + 3)
            with torch.inference_mode():
                assert kernel(y).is_inference()

    for _ in range(3):
        turn()
    built = looked_up(kernel)
    turn()
    assert not built


def test_more_kinds_of_calls_than_are_kept():
    """Those that are known stay known: in a cycle, replacing one by the next would have all of them looked up."""
    kernel = make(static=False)
    inputs = [torch.randn(n) for n in range(2, 22)]
    for _ in range(5):
        for x in inputs:
            kernel(x)
    built = looked_up(kernel)
    for _ in range(10):
        for x in inputs:
            torch.testing.assert_close(kernel(x), x * 2 + 1)
    assert len(kernel._known.calls) == recent._MOST
    assert len(built) <= 10 * (len(inputs) - recent._MOST)


def test_other_calls_than_before_get_their_place():
    kernel = make()
    for n in range(2, 2 + recent._MOST):
        for _ in range(4):
            kernel(torch.randn(n))
    later = [torch.randn(n) for n in range(30, 38)]
    for _ in range(16):
        for x in later:
            kernel(x)
    built = looked_up(kernel)
    for x in later:
        torch.testing.assert_close(kernel(x), x * 2 + 1)
    assert not built


def test_a_call_that_repeats_is_soon_asked_for_first():
    kernel = make()
    inputs = [torch.randn(n) for n in SIZES]
    for x in inputs * 4:
        kernel(x)
    for x in inputs:
        for _ in range(recent._RARELY):
            kernel(x)
        assert kernel._known.calls[0].matches(x, 1)


@STATIC
def test_calls_that_never_repeat_leave_nothing_to_be_asked(static, monkeypatch):
    made = []
    monkeypatch.setattr("helion.runtime.kernel.matcher", lambda *args: made.append(1) or matcher(*args))
    kernel = helion.kernel(stepped, use_default_config=True, static_shapes=static)
    x = torch.randn(3)
    for n in (2, 16):
        kernel.bind((x, n))._chosen = stepped_by_hand
    for n in range(2, 600):
        torch.testing.assert_close(kernel(x, n), stepped_by_hand(x, n))
    assert len(made) <= recent._MOST * 2 + 2 * math.log2(600)
    assert len(kernel._known.calls) <= 2
    assert all(len(s.calls) <= 2 for s in kernel._known.signatures.values())
    for _ in range(1100):  # what comes to repeat is recognised after all
        kernel(x, 7)
    built = looked_up(kernel)
    kernel(x, 7)
    assert not built


# --- numbers that are asked for

NUMBERS = (0, 1, 2, 16, 17, 48, 2**31 - 1, 2**31, 2**31 + 16, 2**33 + 1, -1)


@STATIC
def test_numbers_that_decide_what_runs(static):
    kernel = helion.kernel(stepped, use_default_config=True, static_shapes=static)
    x = torch.randn(3, dtype=torch.float64)
    for _ in range(3):
        for n in NUMBERS:
            torch.testing.assert_close(kernel(x, n), stepped_by_hand(x, n))
    built = looked_up(kernel)
    for n in NUMBERS:
        torch.testing.assert_close(kernel(x, n), stepped_by_hand(x, n))
    assert not built
    for n in (3, 32, 2**31 + 1, True, False, 1.0, 16.0, 2.0):
        torch.testing.assert_close(kernel(x, n), stepped_by_hand(x, n))
    for n in reversed(NUMBERS):
        torch.testing.assert_close(kernel(x, n), stepped_by_hand(x, n))


def test_only_numbers_that_are_asked_for_count_by_value():
    @helion.kernel(use_default_config=True)
    def both(x, asked, passed):
        out = torch.empty_like(x)
        factor = 2 if asked > 4 else 3
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * factor + passed
        return out

    x = torch.ones(3)
    for _ in range(4):
        both(x, 5, 7)
    assert both.bind((x, 5, 7)).asked_numbers == {"asked"}
    built = looked_up(both)
    for passed in (0, 1, 16, 2**40):
        torch.testing.assert_close(both(x, 5, passed), x * 2 + passed)
    assert not built
    torch.testing.assert_close(both(x, 4, 7), x * 3 + 7)
    assert built


def test_a_new_specialisation_leaves_the_others_known():
    kernel = make()
    inputs = [torch.randn(n) for n in (4, 8)]
    for x in inputs * 4:
        kernel(x)
    kernel(torch.randn(12))
    built = looked_up(kernel)
    for x in inputs:
        kernel(x)
    assert not built


def test_floats_by_value():
    def of(value):
        return matcher((torch.ones(2), value), (None, float), hash, [], [1])

    x = torch.ones(2)
    for value in (0.0, -0.0, 1.0, -2.5, math.inf):
        assert [of(value)(x, other) for other in (0.0, -0.0, 1.0, -2.5, math.inf, math.nan, 0, 1, True)].count(
            True
        ) == 1
        assert of(value)(x, value)
    assert not of(math.nan)(x, math.nan)


def test_buckets_that_ask_for_numbers():
    """A table of configs by a function of the user's: it may look at numbers."""
    kernel = make(static=False)
    x = torch.randn(40)
    bound = kernel.bind((x, 1))
    small, large = helion.Config(block_sizes=[8]), helion.Config(block_sizes=[64])
    bound.set_configs({True: small, False: large}, lambda args: args[1] < 5)
    ran = []
    names = {True: "small", False: "large"}
    bound._table._runs = {
        k: (lambda *args, r=run, k=k: ran.append(names[k]) or r(*args)) for k, run in bound._table._runs.items()
    }
    for n in (1, 1, 1, 1, 9, 9, 9, 1, 9):
        kernel(x, n)
    assert ran == ["small" if n < 5 else "large" for n in (1, 1, 1, 1, 9, 9, 9, 1, 9)]


def test_sizes_of_tensors_inside_others():
    @helion.kernel(use_default_config=True, static_shapes=False)
    def first_of(xs):
        out = torch.empty_like(xs[0])
        factor = 2 if xs[0].size(0) > 10 else 3
        for tile in hl.tile(out.size(0)):
            out[tile] = xs[0][tile] * factor
        return out

    for n in (12, 12, 12, 12, 5, 5, 12, 20, 5, 20):
        torch.testing.assert_close(first_of([torch.ones(n)]), torch.full((n,), 2.0 if n > 10 else 3.0))


# --- what changes between calls


@STATIC
def test_a_captured_global_changes_while_calls_take_turns(static, monkeypatch):
    kernel = make(static)
    inputs = [torch.randn(n) for n in SIZES]
    for factor in (2.0, 3.0, 2.0, -1.0, 3.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        for _ in range(4):
            for x in inputs:
                torch.testing.assert_close(kernel(x), x * factor + 1)


def test_what_a_straight_call_was_made_of_has_changed_meanwhile(monkeypatch):
    kernel, x = make(), torch.ones(4)
    kernel(x)
    bound = kernel.bind((x, 1))
    host = bound.chosen

    def run(*args):
        return host(*args)

    def straight(args, constants):
        monkeypatch.setitem(globals(), "FACTOR", 3.0)
        return lambda *args: "made for other values"

    run.straight = straight  # type: ignore[attr-defined]
    bound._chosen = run
    kernel.forget_runs()
    for _ in range(3):
        kernel(x)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    for _ in range(3):
        torch.testing.assert_close(kernel(x), x * 2 + 1)


def test_modes_entered_between_calls():
    kernel = make()
    inputs = [torch.randn(n) for n in (4, 8, 12)]
    for x in inputs * 5:
        kernel(x)
    for x in inputs:
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert isinstance(kernel(x), FakeTensor)
        many = torch.randn(3, len(x))
        torch.testing.assert_close(torch.func.vmap(kernel)(many), many * 2 + 1)
        torch.testing.assert_close(kernel(x), x * 2 + 1)


def test_reset_and_set_config_while_calls_take_turns():
    kernel = make()
    inputs = [torch.randn(n) for n in (4, 8, 12)]

    def turns():
        for x in inputs * 4:
            torch.testing.assert_close(kernel(x), x * 2 + 1)

    turns()
    bound = kernel.bind((inputs[1], 1))
    bound.set_config({"block_sizes": [2]})
    ran = []
    run = bound._chosen
    bound._chosen = lambda *args: ran.append(1) or run(*args)
    turns()
    assert len(ran) == 4
    kernel.reset()
    turns()
    assert len(ran) == 4 and kernel.bind((inputs[1], 1)) is not bound


@pytest.mark.parametrize("step", ["learning", "settling", "choosing"])
def test_what_is_forgotten_meanwhile_stays_forgotten(step, monkeypatch):
    """Another thread sets a config while this one is about to remember what to run."""
    kernel, x = make(), torch.randn(4)
    kernel(x)
    bound = kernel.bind((x, 1))
    old, new = bound.chosen, []
    busy = [True]

    def interrupt():
        if busy:
            busy.clear()
            bound._chosen = lambda *args: new.append(1) or old(*args)
            kernel.forget_runs()

    if step == "learning":
        monkeypatch.setattr("helion.runtime.kernel.matcher", lambda *args: interrupt() or matcher(*args))
    elif step == "settling":
        front = Known.to_front
        monkeypatch.setattr(Known, "to_front", lambda self, call: interrupt() or front(self, call))
    else:
        learns = Signature.learns
        monkeypatch.setattr(Signature, "learns", lambda self: interrupt() or learns(self))
    while busy:
        kernel(x)
    for count in range(1, 7):
        torch.testing.assert_close(kernel(x), x * 2 + 1)
        assert len(new) == count


class Chosen:
    """A specialisation for one kind of numbers, which needs no compiler. What it runs tells when it was chosen."""

    conditional, asked_numbers = True, frozenset({"n"})

    def __init__(self, kernel, kind, version):
        self.kernel, self.kind, self.version = kernel, kind, version
        self.holds = lambda x, n: n % 3 == kind
        self.set(version)

    def set(self, version):
        self.chosen = lambda x, n: (x.size(0), x.dtype, n % 3, self.kind, version)

    def run_for(self, args):
        return self.chosen


def test_threads_whose_calls_take_turns_while_runs_are_forgotten(monkeypatch):
    """Whoever calls after a config was set gets that config, or a later one, for its own sizes and numbers."""
    monkeypatch.setattr(recent, "_RARELY", 3)
    kernel = make(static=False)
    chosen = [Chosen(kernel, kind, 0) for kind in range(3)]

    def bind(args):
        key = kernel.specialization_key(args)
        bounds = kernel._bound.setdefault(key, [])
        found = chosen[args[1] % 3]
        if found not in bounds:
            bounds.append(found)
        return found

    monkeypatch.setattr(kernel, "bind", bind)
    inputs = [torch.randn(n, dtype=dtype) for n in (3, 4, 6) for dtype in (torch.float32, torch.float64)]
    wrong, published, stop = [], [0], threading.Event()

    def work(shift):
        k = shift
        while not stop.is_set() and not wrong:
            k += 1
            x, n, since = inputs[k % len(inputs)], (k * (shift + 1)) % 5, published[0]
            *got, version = kernel(x, n)
            if got != [x.size(0), x.dtype, n % 3, n % 3] or version < since:
                wrong.append((got, version, x.shape, x.dtype, n, since))

    threads = [threading.Thread(target=work, args=(shift,)) for shift in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for version in range(1, 400):
            for one in chosen:
                one.set(version)
            kernel.reset() if version % 5 == 0 else kernel.forget_runs()
            published[0] = version
            time.sleep(0.001)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not wrong


# --- what is kept


def call():
    return Call(lambda *args: True, lambda: None)


def test_room_is_made_by_calls_that_are_not_met():
    known = Known([])
    calls = [call() for _ in range(recent._MOST)]
    for one in calls:
        known.remember(one)
        known.remember(one)
    assert len(known.calls) == recent._MOST and calls[-1] not in known.calls  # the first place is not theirs yet
    for _ in range(recent._PERIOD):
        known.missed()
    assert len(known.calls) == recent._MOST  # whoever is new stays for one period
    calls[3].used = True
    for _ in range(recent._PERIOD):
        known.missed()
    assert known.calls[1:] == (calls[3],)


def test_the_first_calls_are_learned_then_ever_fewer():
    signature = Signature(lambda args: pytest.fail("not asked"))
    learned = []
    for k in range(1, 1000):
        if signature.learns():
            learned.append(k)
            signature.calls = (*signature.calls, call())
    assert learned == [*range(1, recent._MOST + 1), 32, 64, 128, 256, 512]
    assert len(signature.calls) == 1
