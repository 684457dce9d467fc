"""Launches of kernels with tensor descriptors beneath Triton's function that takes them apart."""

import threading
from contextlib import nullcontext
from types import FunctionType, SimpleNamespace
from typing import Any

import machine
import pytest
import torch
import triton
from machine import Recorder, packed
from triton import knobs
from triton.backends.nvidia import driver as nvidia
from triton.tools.tensor_descriptor import TensorDescriptor

import helion
import helion.language as hl
from helion.runtime.binaries.compile import compile_kernel
from helion.runtime.launching import descriptors, direct, launch, unwrapped
from helion.runtime.launching.descriptors import KEPT, Maker
from helion.runtime.launching.signature import signature
from helion.runtime.targets import parse_target

CONFIG = {"block_sizes": [16, 32, 16], "indexing": "tensor_descriptor"}
M, N, K = 64, 96, 48


def product(x, y, a):
    out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([x.size(0), y.size(1)]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(x.size(1)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = (acc * a).to(x.dtype)
    return out


def into(x, y, out, a):
    for tile_m, tile_n in hl.tile([x.size(0), y.size(1)]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(x.size(1)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = (acc * a).to(x.dtype)
    return out


def kernel_of(function: Any = product, **settings: Any) -> Any:
    return helion.kernel(function, config=CONFIG, **settings)


def half(*sizes):
    return torch.randn(sizes).to(torch.bfloat16)


X, Y, OUT = half(M, K), half(K, N), half(M, N)


def taken(world):
    """What the last direct launch took: pointers, then for each descriptor what its object was made of, its sizes and
    strides. Sizes of tensors with changing sizes and the number stand between the two.
    """
    values = [v[2] if isinstance(v, tuple) else v for v in world.arguments()]
    return values[:3] + values[-15:]


def by_triton(world, x, y, out):
    """What Triton's own function, over its own class, hands down for the same launch."""
    record, made = Recorder(), world.encoders.made.copy()
    metas = [{"elem_size": 2, "block_size": block} for block in ([16, 16], [16, 32], [16, 32])]
    order = (x, y, out)
    values: list[Any] = [t.data_ptr() for t in order]
    values += [
        TensorDescriptor(t, list(t.shape), list(t.stride()), meta["block_size"])
        for t, meta in zip(order, metas, strict=True)
    ]
    base = range(15 if world.is_packed else 13)
    world.wrap(record, metas)(*base, *([values] if world.is_packed else values))
    given = record.calls[-1][15] if world.is_packed else record.calls[-1][13:]
    world.encoders.made[:] = made
    return [v[2] if isinstance(v, tuple) else v for v in given]


# --- what is handed down


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
def test_launches_hand_down_what_tritons_function_would(world, calls, static):
    kernel = kernel_of(static_shapes=static)
    for _ in range(3):
        out = kernel(X, Y, 2.0)
    assert taken(world) == by_triton(world, X, Y, out)
    count, plain = len(calls), len(world.plain)
    out = kernel(X, Y, 2.0)
    assert len(calls) == count and len(world.plain) == plain == 1
    assert taken(world) == by_triton(world, X, Y, out)
    host = kernel.bind((X, Y, 2.0)).chosen
    out = host(X, Y, 3.0)  # not as one function
    assert len(world.plain) == plain and taken(world) == by_triton(world, X, Y, out)


def test_dimensions_that_count_as_one(world, calls):
    def products(x, y, a):
        out = torch.empty([x.size(0), x.size(1), y.size(2)], dtype=x.dtype, device=x.device)
        for tile_b, tile_m, tile_n in hl.tile([x.size(0), x.size(1), y.size(2)]):
            acc = hl.zeros([tile_b, tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(x.size(2)):
                acc = torch.baddbmm(acc, x[tile_b, tile_m, tile_k], y[tile_b, tile_k, tile_n])
            out[tile_b, tile_m, tile_n] = (acc * a).to(x.dtype)
        return out

    kernel = helion.kernel(products, config={**CONFIG, "block_sizes": [1, *CONFIG["block_sizes"]]})
    x, y = half(3, M, K), half(3, K, N)
    for _ in range(3):
        out = kernel(x, y, 2.0)
    assert taken(world) == by_triton(world, *(t.view(-1, t.size(2)) for t in (x, y, out)))
    assert len(world.plain) == 1


@pytest.mark.parametrize("way", ["straight", "host"])
def test_objects_are_kept_by_address(world, calls, way):
    kernel = kernel_of(into)
    for _ in range(3):
        kernel(X, Y, OUT, 2.0)
    run = kernel.bind((X, Y, OUT, 2.0)).chosen if way == "host" else kernel
    run(X, Y, OUT, 2.0)
    first = world.arguments()
    made = len(world.encoders.made)
    run(X, Y, OUT, 2.0)
    again = world.arguments()
    assert len(world.encoders.made) == made and all(a is b for a, b in zip(first[4:], again[4:], strict=True))
    other = X.clone()
    run(other, Y, OUT, 2.0)
    assert len(world.encoders.made) == made + 1 and taken(world) == by_triton(world, other, Y, OUT)


def test_sizes_and_strides_count_beside_the_address(world, calls):
    kernel = kernel_of(static_shapes=False)
    memory = half(M * K)
    layouts = [(M, K), (M // 2, K), (K, M), (K // 2, M), (M, K)]
    for _ in range(2):
        for rows, columns in layouts:
            x, y = memory[: rows * columns].view(rows, columns), half(columns, N)
            for _ in range(3):
                out = kernel(x, y, 2.0)
                if world.direct.calls:
                    assert taken(world) == by_triton(world, x, y, out)
    x = half(M, 2 * K)[:, :K]
    kernel(x, Y, 2.0)
    for _ in range(3):
        out = kernel(x, Y, 2.0)
        assert taken(world) == by_triton(world, x, Y, out) and taken(world)[4:8] == [M, K, 2 * K, 1]


def test_a_view_at_an_offset_has_objects_of_its_own(world, calls):
    kernel = kernel_of()
    memory = half(4 * M, K)
    for _ in range(3):
        for begin in (0, M, 2 * M):
            x = memory[begin : begin + M]
            out = kernel(x, Y, 2.0)
            if world.direct.calls:
                assert taken(world) == by_triton(world, x, Y, out)
    assert len({made[2][0] for made in world.encoders.made} & {memory[b * M].data_ptr() for b in range(3)}) == 3


# --- what does not fit


def misaligned():
    return half(M * K + 1)[1:].view(M, K)


def odd_stride():
    return half(M, K + 1)[:, :K]


def expanded():
    return half(1, K).expand(M, K)


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("make", [misaligned, odd_stride, expanded])
def test_what_does_not_fit_goes_by_pointers(world, calls, make, static):
    kernel = kernel_of(static_shapes=static)
    for _ in range(3):
        kernel(X, Y, 2.0)
    other, begun = make(), len(world.encoders.made)
    for _ in range(4):
        plain = len(world.plain)
        kernel(other, Y, 2.0)
        values = world.plain[-1][3] if len(world.plain) > plain else world.arguments()
        assert values[0] == other.data_ptr()
        assert all(v.base is not other for v in values if isinstance(v, TensorDescriptor))
        assert all(made[2][0] != other.data_ptr() for made in world.encoders.made[begun:])
    assert len(world.plain) == plain  # by pointers, too, launches are direct
    out = kernel(X, Y, 2.0)
    out = kernel(X, Y, 2.0)
    assert taken(world) == by_triton(world, X, Y, out)


def test_empty_tensors_and_grids(world, calls):
    kernel = kernel_of(static_shapes=False)
    for _ in range(3):
        kernel(X, Y, 2.0)
    launched, made = len(world.direct.calls), len(world.encoders.made)
    for _ in range(4):
        assert kernel(half(0, K), Y, 2.0).shape == (0, N)
        assert kernel(X, half(K, 0), 2.0).shape == (M, 0)
    assert len(world.direct.calls) == launched and len(world.encoders.made) <= made + 2
    for _ in range(4):
        kernel(half(M, 0), half(0, N), 2.0)  # a product of nothing is launched, by pointers
    assert len(world.direct.calls) > launched and not any(isinstance(v, tuple) for v in world.arguments())


# --- what is kept


def test_only_so_many_objects_are_kept(world, calls, monkeypatch):
    monkeypatch.setattr(descriptors, "KEPT", 3)
    kernel = kernel_of(into)
    tensors = [half(M, K) for _ in range(6)]
    for x in [*tensors[:1], *tensors]:
        kernel(x, Y, OUT, 2.0)
    for way in (kernel, kernel.bind((X, Y, OUT, 2.0)).chosen):
        for x in (*tensors, *tensors[::-1], *tensors):
            way(x, Y, OUT, 2.0)
            assert taken(world) == by_triton(world, x, Y, OUT)
    made = len(world.encoders.made)
    for x in tensors[:4] * 5:
        kernel(x, Y, OUT, 2.0)
    assert len(world.encoders.made) == made + 20  # more than are kept, in turn: all are made again
    for x in tensors[:2] * 5:
        kernel(x, Y, OUT, 2.0)
    assert len(world.encoders.made) == made + 22


def test_objects_keep_no_memory_alive(world, calls):
    import weakref

    kernel = kernel_of()
    x = half(M, K)
    for _ in range(4):
        kernel(x, Y, 2.0)
    seen = weakref.ref(x)
    del x
    world.plain.clear()
    assert seen() is None


def test_threads_take_their_own_objects(world, calls):
    kernel = kernel_of()
    for _ in range(3):
        kernel(X, Y, 2.0)
    world.direct.calls.clear()
    tensors = [half(M, K) for _ in range(40)]

    def work(own):
        for x in own * 5:
            kernel(x, Y, 2.0)

    threads = [threading.Thread(target=work, args=(tensors[k::4],)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.direct.calls) == 200 and len(world.plain) == 1
    for call in world.direct.calls:
        values = call[15] if world.is_packed else call[13:]
        assert list(values[:3]) == [values[4 + 5 * k][2][0] for k in range(3)]


# --- when Triton's function is called


def test_another_device_and_hooks_go_through_triton(world, calls, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device", lambda index: nullcontext())
    kernel = kernel_of()
    for _ in range(4):
        kernel(X, Y, 2.0)
    launched = len(world.direct.calls)
    world.device = 5
    kernel(X, Y, 2.0)
    world.device = machine.INDEX
    seen: list[Any] = []
    knobs.runtime.launch_enter_hook.add(seen.append)
    try:
        kernel(X, Y, 2.0)
    finally:
        knobs.runtime.launch_enter_hook.remove(seen.append)
    assert len(world.plain) == 3 and len(world.direct.calls) == launched
    assert all(isinstance(v, TensorDescriptor) for v in world.plain[-1][3][4:])
    kernel(X, Y, 2.0)
    assert len(world.plain) == 3 and len(world.direct.calls) == launched + 1


class Elsewhere:
    """A tensor of a device that is not there."""

    def __init__(self, index, address, sizes):
        self.index, self.address, self.shape = index, address, torch.Size(sizes)
        self.device = torch.device("cuda", index)

    def data_ptr(self):
        return self.address

    def get_device(self):
        return self.index

    def size(self):
        return self.shape

    def stride(self):
        return (self.shape[1], 1)


def test_each_device_has_its_own_objects(world, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device", lambda index: nullcontext())
    generated = kernel_of().bind((X, Y, 2.0)).generate(CONFIG)
    installed: list[Any] = []
    launcher = launch.GpuLauncher(generated, installed.append)
    sizes = (M, K), (K, N), (M, N)
    tensors = [[Elsewhere(i, 4096 * (k + 1), s) for k, s in enumerate(sizes)] for i in range(2)]
    for index in (0, 1):
        world.device = index
        launcher(None, (4, 3), *tensors[index], 2.0)
    first, second = installed
    made = []
    for index, function in ((0, first), (1, second), (0, first), (1, second)):
        world.device = index
        function(None, (4, 3), *tensors[index], 2.0)
        made.append([v for v in world.arguments() if isinstance(v, tuple)])
        assert world.direct.calls[-1][4] == 1000 + index
    assert len(world.plain) == 2 and len(world.encoders.made) == 6
    assert all(a is b and a is not c for a, b, c in zip(made[0], made[2], made[1], strict=True))
    plain = len(world.plain)
    second(None, (4, 3), *tensors[0], 2.0)  # is of the other device
    first(None, (4, 3), *tensors[0], 2.0)  # is not the current one
    assert len(world.plain) == plain + 2 == 4


def without_tma(world, monkeypatch):
    world.has_tma = False


def scratch(world, monkeypatch):
    monkeypatch.setattr(world.kind, "global_scratch_size", 64)


def another_encoder(world, monkeypatch):
    def other(descriptor, meta, encoder):
        made = triton.runtime.driver.active.utils.encode(
            descriptor.base.data_ptr(), 2, 3, 4, 5, descriptor.shape, descriptor.strides, 0
        )
        return [made, *descriptor.shape, *descriptor.strides]

    monkeypatch.setattr(machine, "taken_apart", local(other))
    world.encoders.encode = world.encoders.fill_tma_descriptor


def another_order(world, monkeypatch):
    def turned(descriptor, meta, encoder):
        encode = getattr(triton.runtime.driver.active.utils, encoder)
        made = encode(0, descriptor.base.data_ptr(), 2, 3, 4, descriptor.shape, descriptor.strides, 0)
        return [made, *descriptor.shape, *descriptor.strides]

    monkeypatch.setattr(machine, "taken_apart", local(turned))


def strides_first(world, monkeypatch):
    def turned(descriptor, meta, encoder):
        encode = getattr(triton.runtime.driver.active.utils, encoder)
        made = encode(descriptor.base.data_ptr(), 2, 3, 4, 5, descriptor.shape, descriptor.strides, 0)
        return [made, *descriptor.strides, *descriptor.shape]

    monkeypatch.setattr(machine, "taken_apart", local(turned))


def by_size(world, monkeypatch):
    def turned(descriptor, meta, encoder):
        encode = getattr(triton.runtime.driver.active.utils, encoder)
        wide = descriptor.shape[0] > 500
        made = encode(descriptor.base.data_ptr(), wide, 3, 4, 5, descriptor.shape, descriptor.strides, 0)
        return [made, *descriptor.shape, *descriptor.strides]

    monkeypatch.setattr(machine, "taken_apart", local(turned))


def failing(world, monkeypatch):
    monkeypatch.setattr(machine, "taken_apart", lambda *_: {}["nothing"])


def another_variable(world, monkeypatch):
    wrap = world.wrap

    def wrapped(function, metas):
        inner = wrap(function, metas)
        return lambda *args: inner(*args)

    world.wrap = wrapped


def local(function):
    """`function` as one of the emulated driver's module."""
    return FunctionType(function.__code__, vars(machine), function.__name__)


@pytest.mark.parametrize(
    "change",
    [without_tma, scratch, another_encoder, another_order, strides_first, by_size, failing, another_variable],
)
def test_unknown_functions_of_tritons_are_called(world, calls, monkeypatch, change):
    change(world, monkeypatch)
    kernel = kernel_of()
    for _ in range(5):
        kernel(X, Y, 2.0)
    assert len(world.plain) == 5 and not world.direct.calls and not world.encoders.made


# --- Triton's own


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_the_installed_tritons_function(monkeypatch, dtype):
    """Its own compiler and function, without the driver."""
    made: list[Any] = []

    def encode(*of):
        made.append(of)
        return of

    utils = SimpleNamespace(fill_tma_descriptor=encode, fill_tma_descriptor_tiled=encode)
    monkeypatch.setattr(triton.runtime.driver, "_active", SimpleNamespace(utils=utils))
    x, y = torch.empty(128, 192).to(dtype)[:, :128], torch.empty(128, 256).to(dtype)
    out = torch.empty(128, 256).to(dtype)
    generated = kernel_of().bind((x, y, 2.0)).generate(CONFIG | {"block_sizes": [64, 64, 32]})
    types, target = signature(generated), parse_target("sm_90")
    text, name = generated.kernel_source, generated.kernel_name
    compiled = compile_kernel(text, name, types, target, generated.options)
    record, maker = Recorder(), Maker(generated.program, generated.descriptors)
    run: Any = nvidia.CudaLauncher.__new__(nvidia.CudaLauncher)
    for name in ("global_scratch", "profile_scratch"):
        vars(run).update({f"{name}_size": 0, f"{name}_align": 1})
    run.num_ctas, run.launch_cooperative_grid, run.launch_pdl = 1, False, False
    run.gsan_enabled = False  # which Triton asks for from 3.8 on
    assert not compiled.metadata.global_scratch_size and compiled.metadata.tensordesc_meta
    if hasattr(nvidia, "annotate_arguments"):
        run.arg_annotations, run.kernel_signature = ["annotations"], b"types"
    run.launch = nvidia.wrap_handle_tensordesc(record, dict(enumerate(types)), compiled.metadata.tensordesc_meta)

    form = unwrapped.form_with_descriptors(run, len(types), maker)
    assert form is not None and form.call is record and form.text in (direct.PACKED, direct.UNPACKED) and not made
    tensors = [x, y, out]
    assert [d.tensor for d in maker.described] == [0, 1, 2]
    values: list[Any] = [*(t.data_ptr() for t in tensors), 2.0]
    described = [
        TensorDescriptor(t, list(t.shape), list(t.stride()), list(d.block))
        for t, d in zip(tensors, maker.described, strict=True)
    ]
    run(4, 2, 1, "stream", "function", ("metadata",), None, None, None, *values, *described)
    for mapped, t in zip(form.maps, tensors, strict=True):
        whole = mapped.of_any_layout()(t.data_ptr(), t.size(), t.stride())
        assert whole is not None and whole[0] == mapped.of_one_layout(t.size(), t.stride())(t.data_ptr())
        values += whole
    unwrapped._launch(form.text, record, values)
    by_triton, ours = (unwrapped._flat(call)[-len(values) :] for call in record.calls)
    assert ours == by_triton == values
    assert [of[0] for of in made[:3]] == [t.data_ptr() for t in tensors] and made[0][2] == x.element_size()


def test_gpus_without_a_tma_unit_go_through_tritons_function(monkeypatch):
    kind = type("CudaLauncher", (), {"__module__": "triton.backends.nvidia.driver", "__call__": packed_call})
    run: Any = kind()
    run.global_scratch_size = run.profile_scratch_size = 0
    run.arg_annotations = run.kernel_signature = ()
    x = half(64, 64)
    generated = kernel_of().bind((x, x, 1.0)).generate(CONFIG)
    types, maker = signature(generated), Maker(generated.program, generated.descriptors)
    run.launch = nvidia.wrap_handle_tensordesc(Recorder(), dict(enumerate(types)), None)
    assert len(maker.described) == 3 and unwrapped.form_with_descriptors(run, len(types), maker) is None


packed_call: Any = packed(None).__call__


# --- on a GPU


def close(out, x, y):
    torch.testing.assert_close(out.double(), x.double() @ y.double() * 2, rtol=2e-2, atol=1e-1)


@pytest.fixture
def on_gpu():
    if torch.cuda.get_device_capability()[0] < 9:
        pytest.skip("needs a GPU with a TMA unit")
    return kernel_of(static_shapes=False), kernel_of()


def gpu(*sizes):
    return torch.randn(sizes, device="cuda").to(torch.bfloat16)


def straight_or_direct(kernel, *args):
    """The launch function of the last call of `kernel`."""
    from helion.emit.wrapper import LAUNCH

    return kernel.bind(args).chosen.__kwdefaults__[LAUNCH]


@pytest.mark.gpu
def test_new_addresses_and_the_same_with_other_data_on_a_gpu(on_gpu):
    for kernel in on_gpu:
        x, y = gpu(M, K), gpu(K, N)
        for _ in range(4):
            close(kernel(x, y, 2.0), x, y)
        assert isinstance(straight_or_direct(kernel, x, y, 2.0), FunctionType), "no launch beneath Triton's function"
        held = []
        for _ in range(2 * KEPT + 10):  # more than are kept
            held.append((gpu(M, K), y))
            held[-1] += (kernel(*held[-1], 2.0),)
        for a, b, out in held:
            close(out, a, b)
        for a, b, _ in held[:20]:
            close(kernel(a, b, 2.0), a, b)
        for k in range(4):
            x.normal_().mul_(k + 1)
            close(kernel(x, y, 2.0), x, y)


@pytest.mark.gpu
def test_views_and_memory_given_back_on_a_gpu(on_gpu):
    for kernel in on_gpu:
        memory, y = gpu(8 * M, 2 * K), gpu(K, N)
        for _ in range(3):
            for begin in range(0, 7 * M, 8):
                for first in (0, 8, 3):  # 3 elements are 6 bytes: by pointers
                    x = memory[begin : begin + M, first : first + K]
                    close(kernel(x, y, 2.0), x, y)
        del memory, x
        torch.cuda.empty_cache()
        for rows in (M, 2 * M, 16, M):
            for _ in range(3):
                x = gpu(rows, K)
                close(kernel(x, y, 2.0), x, y)
                del x
                torch.cuda.empty_cache()
        wide = gpu(M, K + 1)[:, :K]
        for _ in range(3):
            close(kernel(wide, y, 2.0), wide, y)
            columns = gpu(K, M).t()
            close(kernel(columns, y, 2.0), columns, y)
        assert kernel(gpu(0, K), y, 2.0).shape == (0, N)


@pytest.mark.gpu
def test_graphs_and_streams_on_a_gpu(on_gpu):
    for kernel in on_gpu:
        x, y = gpu(M, K), gpu(K, N)
        for _ in range(4):
            kernel(x, y, 2.0)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = kernel(x, y, 2.0)
        for _ in range(2 * KEPT):
            kernel(x.clone(), y, 2.0)  # objects of the capture are no longer kept
        for _ in range(3):
            x.normal_()
            graph.replay()
            close(out, x, y)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            out = kernel(x, y, 2.0)
        side.synchronize()
        close(out, x, y)


@pytest.mark.gpu
def test_several_gpus(on_gpu):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    for kernel in on_gpu:
        for _ in range(4):
            for index in range(torch.cuda.device_count()):
                with torch.cuda.device(index):
                    x, y = gpu(M, K), gpu(K, N)
                    close(kernel(x, y, 2.0), x, y)
                close(kernel(x, y, 2.0), x, y)
    assert torch.cuda.current_device() == 0
