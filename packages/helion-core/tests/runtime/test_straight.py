"""Whole calls as one function: that they do what the host code does, and leave to it what they cannot do."""

import math
import sys
import traceback
from dataclasses import replace
from types import ModuleType
from typing import Annotated, Any

import pytest
import torch
from triton import knobs

import helion
import helion.language as hl
from helion.integration import versions
from helion.runtime.launching import straight


def outcome(world, result, args):
    """What a call did and returned, with tensors as positions of arguments or as their layout."""
    results = [result] if isinstance(result, torch.Tensor) else list(result or [])
    told = [_told(r, args) for r in results]
    names = {t.data_ptr(): f"result {k}" for k, t in enumerate(results) if isinstance(t, torch.Tensor) and t.numel()}
    names |= {a.data_ptr(): f"argument {k}" for k, a in enumerate(args) if isinstance(a, torch.Tensor) and a.numel()}
    values = [names.get(v, v) if isinstance(v, int) else v for v in world.arguments()]
    return type(result), told, world.direct.calls[-1][:5], values


def _told(value, args):
    if not isinstance(value, torch.Tensor):
        return value
    same = [k for k, a in enumerate(args) if a is value]
    layout = value.shape, value.stride(), value.dtype, value.device, value.is_inference(), value.requires_grad
    return same, layout, type(value)


def settled(kernel, *args):
    for _ in range(3):
        kernel(*args)


# --- what is straight


def doubled(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        out[tile] = x[tile] * 2
    return out


def product(x, y, dtype: torch.dtype):
    """Sizes by name, an assertion, a check, sizes as a list."""
    m, k = x.size()
    k2, n = y.shape
    assert k == k2, "sizes"
    if x.dtype != y.dtype:
        raise TypeError("dtypes")
    out = torch.empty([m, n], dtype=dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc.to(dtype)
    return out


def optional(x, total, keep: bool, n):
    m = x.size(0)
    kept = torch.empty([m], dtype=torch.float64, device=x.device) if keep else None
    inverse: torch.Tensor = x.new_empty(m) if total is None else x.new_empty([m], dtype=torch.int32)
    shift = n * 3 + 1
    for tile in hl.tile(m):
        if keep:
            kept[tile] = x[tile].to(torch.float64) + n * shift
        inverse[tile] = x[tile].to(inverse.dtype) * max(m, 2)
    return inverse, kept, x, None, True


def in_place(x, n):
    for tile in hl.tile(x.size()):
        x[tile] = x[tile] + n


def strided(x):
    out = torch.empty_strided((x.size(0), 3), (1, x.size(0) + 2), dtype=x.dtype, device=x.device)
    same = out
    for tile in hl.tile(x.size(0)):
        same[tile, 0] = x[tile]
    return [same, out]


def sized(x, n):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * n
    return out


FACTOR = 3


def of_a_band(x, band, scale):
    """Numbers in tuples, a view of what is allocated, a number of the module."""
    (left, right), (m, n) = band, x.size()
    out = torch.empty([n, FACTOR, m], dtype=x.dtype, device=x.device).transpose(0, 2)
    same = torch.empty([m, n], dtype=x.dtype, device=x.device).t().t()
    factor = scale * FACTOR
    given = factor if left < 0 else None
    for tile in hl.tile(m):
        out[tile, 0, 0] = x[tile, 0] * factor + right
        same[tile, 0] = x[tile, 0]
    return out, same, given


def constant(x, blocks: Annotated[int, hl.constexpr], name):
    n = 4 if name == "four" else len(x.shape)
    out = x.new_empty([blocks * n] if blocks else [1])
    for tile in hl.tile(min(out.size(0), x.size(0))):
        out[tile] = x[tile] + n
    return out


X = torch.randn(40)
CASES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "like": (doubled, (X,)),
    "like, 2d": (doubled, (torch.randn(5, 7),)),
    "like, transposed": (doubled, (torch.randn(5, 7).t(),)),
    "like, every second": (doubled, (torch.randn(10, 8)[:, ::2],)),
    "like, expanded": (doubled, (torch.randn(1, 5).expand(4, 5),)),
    "like, permuted": (doubled, (torch.randn(3, 4, 5).permute(2, 0, 1),)),
    "like, size 1": (doubled, (torch.randn(4, 1, 3).transpose(0, 1),)),
    "like, integers": (doubled, (torch.arange(9),)),
    "like, half": (doubled, (torch.randn(6).half(),)),
    "like, misaligned": (doubled, (torch.randn(41)[1:],)),
    "like, parameter": (doubled, (torch.nn.Parameter(torch.randn(8)),)),
    "product": (product, (torch.randn(6, 5), torch.randn(5, 9), torch.bfloat16)),
    "product, other dtype": (product, (torch.randn(6, 5), torch.randn(9, 5).t(), torch.float32)),
    "optional": (optional, (X, None, True, 7)),
    "optional, given": (optional, (X, torch.randn(3), False, 2)),
    "optional, float": (optional, (X, None, True, 2.5)),
    "in place": (in_place, (torch.randn(30), 3)),
    "strided": (strided, (X,)),
    "constants": (constant, (X, 5, "four")),
    "tuple": (of_a_band, (torch.randn(6, 5), (-1, 3), 0.5)),
    "list": (of_a_band, (torch.randn(1, 5), [2, 3], 2)),
}


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", CASES)
def test_straight_calls_do_what_the_host_code_does(world, calls, case, static):
    function, args = CASES[case]
    kernel = helion.kernel(function, use_default_config=True, static_shapes=static)
    settled(kernel, *args)
    count, launched = len(calls), len(world.direct.calls)
    result = kernel(*args)
    assert len(calls) == count and len(world.direct.calls) == launched + 1
    done = outcome(world, result, args)
    host = kernel.bind(args).chosen
    assert host is not kernel._known.calls[0].run
    assert outcome(world, host(*args), args) == done


def test_other_numbers_other_results(world, calls):
    kernel = helion.kernel(optional, use_default_config=True)
    settled(kernel, X, None, True, 7)
    count = len(calls)
    for n in (0, 8, -(2**10), 2**16, 2**20, -(2**25), 5):
        args = (X, None, True, n)
        kernel(*args)  # compiles another variant where the product needs 64 bits
        done = outcome(world, kernel(*args), args)
        assert len(calls) == count
        host = kernel.bind(args).chosen
        host(*args)
        assert outcome(world, host(*args), args) == done and n * (n * 3 + 1) in done[3]
        del calls[count:]


@pytest.mark.parametrize("layout", ["permuted", "sliced", "expanded", "one"])
def test_layouts_of_what_is_like_another_tensor(world, calls, layout):
    generator = torch.Generator().manual_seed(3)
    for _ in range(6):
        sizes = torch.randint(1, 5, (3,), generator=generator).tolist()
        order = torch.randperm(3, generator=generator).tolist()
        x = torch.randn(sizes).permute(order)
        x = {"permuted": x, "sliced": x[:, ::2], "expanded": x[:1].expand(3, -1, -1), "one": x[:, :1]}[layout]
        kernel = helion.kernel(doubled, use_default_config=True)
        settled(kernel, x)
        count = len(calls)
        made = kernel(x)
        assert len(calls) == count
        like = torch.empty_like(x)
        assert (made.shape, made.stride(), made.dtype) == (like.shape, like.stride(), like.dtype)


# --- what is not


LIMITS = {"rows": 12}


def by_a_global(x):
    rows = LIMITS["rows"]
    out = torch.empty([rows], dtype=x.dtype, device=x.device)
    for tile in hl.tile(rows):
        out[tile] = x[tile]
    return out


def default_dtype(x):
    out = torch.empty([x.size(0)], device=x.device)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


def default_device(x):
    out = torch.empty([x.size(0)], dtype=x.dtype)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


def zeroed(x):
    out = torch.zeros_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


def with_gradient(x):
    out = torch.empty_like(x, requires_grad=False)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


SEEN: list[int] = []


def with_an_effect(x):
    out = torch.empty_like(x)
    SEEN.append(x.size(0))
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


def of_a_view(x):
    out = torch.empty_like(x)
    flat = out.view(-1)
    for tile in hl.tile(x.size(0)):
        flat[tile] = x[tile]
    return out


WEIGHT = torch.randn(40)


def of_a_global_tensor(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * WEIGHT[tile]
    return out


def in_a_loop(x):
    for _ in range(2):
        out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (by_a_global, (X,)), (default_dtype, (X,)), (default_device, (X,)), (zeroed, (X,)), (with_gradient, (X,)),
        (with_an_effect, (X,)), (of_a_view, (X,)), (of_a_global_tensor, (X,)), (in_a_loop, (X,)),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)  # fmt: skip
def test_other_host_code_runs_as_it_is(world, calls, function, args):
    kernel = helion.kernel(function, use_default_config=True)
    settled(kernel, *args)
    count = len(calls)
    result = kernel(*args)
    assert len(calls) == count + 1
    assert result.shape[0] in (40, 12)


def on_a_condition(x, n):
    out = torch.empty_like(x) if n > 3 else x.new_empty([50])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


def test_numbers_that_host_code_asks_for_are_known(world, calls):
    kernel = helion.kernel(on_a_condition, use_default_config=True)
    for n, size in ((5, 40), (2, 50), (4, 40)):
        settled(kernel, X, n)
        count = len(calls)
        assert kernel(X, n).shape == (size,)
        assert len(calls) == count
    for n, size in ((2, 50), (5, 40), (3, 50), (9, 40)):
        assert kernel(X, n).shape == (size,)


def test_a_number_of_a_closure_is_looked_up(world, calls):
    rows = 12

    def first(x):
        out = torch.empty([rows], dtype=x.dtype, device=x.device)
        for tile in hl.tile(rows):
            out[tile] = x[tile]
        return out

    kernel = helion.kernel(first, use_default_config=True)
    settled(kernel, X)
    count = len(calls)
    assert kernel(X).shape == (12,) and len(calls) == count + 1
    rows = 7
    assert kernel(X).shape == (7,)


def test_another_number_of_the_module(world, calls, monkeypatch):
    args = (torch.randn(6, 5), (-1, 3), 0.5)
    kernel = helion.kernel(of_a_band, use_default_config=True)
    settled(kernel, *args)
    calls.clear()
    assert kernel(*args)[0].shape == (6, 3, 5) and not calls
    run = kernel.bind(args).chosen.straight(args, set())
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 4)
    assert run(*args)[0].shape == (6, 4, 5) and len(calls) == 1
    for _ in range(4):
        assert kernel(*args)[0].shape == (6, 4, 5)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)
    for _ in range(4):
        assert kernel(*args)[0].shape == (6, 3, 5)


def test_a_module_by_the_name_of_torch_is_not_torch(world, calls, monkeypatch):
    other = ModuleType("other")
    vars(other).update(vars(torch))
    monkeypatch.setitem(doubled.__globals__, "torch", other)
    kernel = helion.kernel(doubled, use_default_config=True)
    settled(kernel, X)
    count = len(calls)
    kernel(X)
    assert len(calls) == count + 1


def test_without_torchs_allocator_the_host_code_runs(world, calls, monkeypatch):
    monkeypatch.setattr(versions, "empty_strided", lambda kind: None)
    kernel = helion.kernel(doubled, use_default_config=True)
    settled(kernel, X)
    count = len(calls)
    kernel(X)
    assert len(calls) == count + 1


def test_an_allocator_of_another_form_is_not_used(monkeypatch):
    guards = torch._C._dynamo.guards
    find = versions.empty_strided.__wrapped__
    assert find("cpu") is guards._empty_strided_cpu
    assert find("nowhere") is None
    for other in (lambda size, stride: None, lambda *_: torch.empty(2, 3, dtype=torch.int8), lambda *_: torch.empty(6)):
        monkeypatch.setattr(guards, "_empty_strided_cpu", other)
        assert find("cpu") is None
    monkeypatch.delattr(guards, "_empty_strided_cpu")
    assert find("cpu") is None


def test_a_variant_for_something_else_is_not_used(world, calls):
    kernel = helion.kernel(sized, use_default_config=True)
    for _ in range(3):
        kernel(X, 3)
    bound = kernel.bind((X, 3))
    generated, host = bound.generate(), bound.chosen
    shape, variant = host.launcher.latest
    assert straight.straight_call(generated, host, (shape, variant), (X, 3), set()) is not None
    for other in (
        (replace(shape, wide=tuple(w if w is None else not w for w in shape.wide)), variant),
        (shape, replace(variant, index=7)),
    ):
        assert straight.straight_call(generated, host, other, (X, 3), {"n"}) is None


def test_modes_do_not_decide_what_is_allocated(world, calls):
    class Transposing(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            return made.new_empty((9, 9)).t() if func is torch.empty_like else made

    x = torch.randn(5, 7)
    kernel = helion.kernel(doubled, use_default_config=True)
    kernel(x)
    with Transposing():
        for _ in range(3):
            assert kernel(x).shape == (9, 9)
    calls.clear()
    result = kernel(x)
    assert (result.shape, result.stride()) == ((5, 7), (7, 1)) and not calls


# --- what may change between calls


@pytest.fixture
def ready(world, calls):
    """A kernel whose calls are straight."""
    kernel = helion.kernel(doubled, use_default_config=True)
    settled(kernel, X)
    count = len(calls)
    kernel(X)
    assert len(calls) == count
    calls.clear()
    return kernel


def test_deterministic_memory_is_filled(ready, calls):
    torch.use_deterministic_algorithms(True)
    try:
        assert ready(X).isnan().all() and len(calls) == 1  # nothing computes here
    finally:
        torch.use_deterministic_algorithms(False)
    ready(X)
    assert len(calls) == 1


def test_function_modes_see_the_allocation(ready, calls):
    seen: list[Any] = []

    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Mode():
        ready(X)
    assert torch.empty_like in seen and len(calls) == 1
    with torch.device("meta"):
        assert ready(X).device.type == "cpu"
    ready(X)
    assert len(calls) == 2


def test_inference_mode(ready):
    for _ in range(4):
        with torch.inference_mode():
            assert ready(X).is_inference()
        assert not ready(X).is_inference()


def test_another_current_device(ready, calls, world, monkeypatch):
    class Device:
        def __init__(self, index):
            pass

        def __enter__(self):
            pass

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(torch.cuda, "device", Device)
    world.device = 5
    ready(X)
    assert len(calls) == 1


def test_hooks_of_profilers(ready, calls, world):
    seen: list[Any] = []
    knobs.runtime.launch_enter_hook.add(seen.append)
    try:
        plain = len(world.plain)
        ready(X)
        assert len(calls) == 1 and len(world.plain) == plain + 1
    finally:
        knobs.runtime.launch_enter_hook.remove(seen.append)


def test_a_subclass_is_asked(ready, calls):
    class Mine(torch.Tensor):
        pass

    x = X.as_subclass(Mine)
    for _ in range(4):
        assert type(ready(x)) is Mine
    calls.clear()
    assert type(ready(X)) is torch.Tensor


def test_other_alignment_is_launched_as_such(ready, calls, world):
    x = torch.randn(41)[1:]
    first = world.direct.calls[-1][4]
    for _ in range(3):
        ready(x)
    assert world.direct.calls[-1][4] != first and world.arguments()[0] == x.data_ptr() and not calls
    ready(X)
    ready(X)
    assert world.direct.calls[-1][4] == first and world.arguments()[0] == X.data_ptr() and not calls


def test_autograd_is_told_of_changes(world, calls):
    kernel = helion.kernel(in_place, use_default_config=True)
    x = torch.randn(30)
    settled(kernel, x, 3)
    calls.clear()
    before = x._version
    kernel(x, 3)
    assert x._version == before + 1 and not calls
    misaligned = torch.randn(31)[1:]
    for n in range(3):
        before = misaligned._version
        kernel(misaligned, n)
        assert misaligned._version == before + 1 and not calls


def test_an_empty_grid_launches_nothing(world, calls):
    kernel = helion.kernel(doubled, use_default_config=True)
    x = torch.randn(0, 4)
    settled(kernel, x)
    assert kernel(x).shape == (0, 4) and not world.direct.calls and not world.plain


def test_a_failing_launch_shows_the_users_line(ready, world, monkeypatch):
    def fails(*args):
        raise RuntimeError("no")

    monkeypatch.setattr(type(world.direct), "__call__", fails)
    with pytest.raises(RuntimeError) as caught:
        ready(X)
    lines = [frame.line for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert any(line and line.startswith("for tile in hl.tile(x.size())") for line in lines)


def test_another_config_is_used_at_once(ready, world):
    ready.bind((X,)).set_config({"block_sizes": [8]})
    for _ in range(4):
        ready(X)
        last = world.direct.calls[-1] if world.direct.calls else None
    assert last is not None and last[0] == math.ceil(40 / 8)


def test_names_of_the_user_are_no_names_of_the_launch(world, calls):
    def names(call, host, index, device, p0):
        allocate = torch.empty_like(call)
        for tile in hl.tile(call.size(0)):
            allocate[tile] = call[tile] * host + index - device * p0
        return allocate

    args = (X, 2, 3, 4.0, 5)
    kernel = helion.kernel(names, use_default_config=True)
    settled(kernel, *args)
    calls.clear()
    result = kernel(*args)
    assert not calls
    assert world.arguments()[:2] == (X.data_ptr(), result.data_ptr())


@pytest.mark.gpu
def test_on_a_gpu():
    kernel = helion.kernel(doubled, use_default_config=True)
    x = torch.randn(1000, device="cuda")
    for _ in range(4):
        torch.testing.assert_close(kernel(x), x * 2)
    assert kernel._known.calls[0].run is not kernel.bind((x,)).chosen
    torch.testing.assert_close(kernel(x[8:]), x[8:] * 2)
    with torch.inference_mode():
        assert kernel(x).is_inference()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = kernel(x)
    x.fill_(3.0)
    graph.replay()
    torch.testing.assert_close(out, torch.full_like(out, 6.0))
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        out = kernel(x)
    side.synchronize()
    torch.testing.assert_close(out, torch.full_like(out, 6.0))
