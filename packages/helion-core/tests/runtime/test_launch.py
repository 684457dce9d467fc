"""Launches on a GPU, with everything beneath our own code replaced: what is compiled, and what a launch is given."""

import threading
from typing import Any

import pytest
import torch
from machine import GPU, INDEX
from triton import knobs

import helion
import helion.language as hl
from helion.runtime.launching import launch, stream


def scaled():
    @helion.kernel(config={"block_sizes": [16]})
    def scaled(x, n, a):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * n + a
        return out

    return scaled


def on_gpu(x, n=3, a=1.5):
    """The function that a call on a GPU would run."""
    kernel = scaled()
    generated = kernel.bind((x, n, a)).generate({"block_sizes": [16]})

    return launch.host_callable(generated, GPU)


def test_the_first_launch_is_plain_and_the_next_direct(world):
    x = torch.randn(40)
    run = on_gpu(x)
    run(x, 3, 1.5)
    assert len(world.plain) == 1 and not world.direct.calls
    out = run(x, 4, 2.5)
    assert len(world.plain) == 1 and len(world.direct.calls) == 1 and len(world.compiled) == 1
    head = world.direct.calls[0]
    assert head[:7] == (3, 1, 1, 77, 1000, False, False)
    assert world.arguments() == (x.data_ptr(), out.data_ptr(), 4, 2.5)
    if world.is_packed:
        assert head[7:15] == (("metadata", 0), None, None, None, None, None, ["annotations"], b"types")
    else:
        assert head[7:13] == (None, None, ("metadata", 0), None, None, None)


def test_what_a_launch_needs_is_built_while_the_kernel_is_compiled_and_waited_for(world, monkeypatch):
    said = []
    compile_kernel = world.compile_kernel

    def compiling(*arguments):
        said.append(arguments[-1])
        return compile_kernel(*arguments)

    monkeypatch.setattr(launch, "compile_kernel", compiling)
    monkeypatch.setattr(launch.modules, "built", lambda: said.append((len(world.compiled), len(world.plain))))
    run = on_gpu(x := torch.randn(40))
    run(x, 3, 1.5)
    run(x, 4, 1.5)
    assert said == [launch.modules.build, (1, 0)]  # compiled, and not launched yet


def test_alignment_decides_the_variant(world):
    x = torch.randn(41)
    run = on_gpu(x[:40])
    for start in (0, 1, 0, 1, 4):
        run(x[start : start + 40], 3, 1.5)
    assert [aligned for _, aligned in world.compiled] == [(True, True), (False, True)]
    run(x[1:], 3, 1.5)
    direct = len(world.direct.calls)
    run(x[1:], 3, 1.5)
    assert len(world.direct.calls) == direct + 1 and world.direct.calls[-1][4] == 1001


def test_integers_that_need_64_bits(world):
    x = torch.randn(40)
    run = on_gpu(x)
    for n in (3, 2**31 - 1, -(2**31), 2**31, 2**40, -(2**31) - 1, 5):
        run(x, n, 1.5)
    assert [types[2] for types, _ in world.compiled] == ["i32", "i64"]
    run(x, 2**50, 1.5)
    run(x, 2**50, 1.5)
    assert world.direct.calls[-1][4] == 1001 and world.arguments()[2] == 2**50


def test_hooks_of_profilers_are_called(world):
    x = torch.randn(40)
    run = on_gpu(x)
    run(x, 3, 1.5)
    run(x, 3, 1.5)
    seen: Any = []
    knobs.runtime.launch_enter_hook.add(seen.append)
    try:
        run(x, 3, 1.5)
    finally:
        knobs.runtime.launch_enter_hook.remove(seen.append)
    described, enter, leave, args = world.plain[-1]
    assert described["grid"] == (3, 1, 1) and described["stream"] == 77 and described["args"] == args
    assert enter is knobs.runtime.launch_enter_hook and leave is knobs.runtime.launch_exit_hook
    plain = len(world.plain)
    run(x, 3, 1.5)
    assert len(world.plain) == plain


def test_another_device_is_made_current(world, monkeypatch):
    entered = []

    class Device:
        def __init__(self, index):
            entered.append(index)

        def __enter__(self):
            pass

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(torch.cuda, "device", Device)
    x = torch.randn(40)
    run = on_gpu(x)
    run(x, 3, 1.5)
    assert not entered
    world.device = 5
    run(x, 3, 1.5)
    run(x, 3, 1.5)
    assert entered == [INDEX, INDEX] and not world.direct.calls


def test_where_there_is_one_device_it_is_not_asked_which(world, monkeypatch):
    monkeypatch.setattr(stream, "has_one_device", lambda: True)
    x = torch.randn(40)
    run = on_gpu(x)
    run(x, 3, 1.5)
    world.device = 5
    run(x, 3, 1.5)
    assert len(world.direct.calls) == 1


def test_an_empty_grid_launches_nothing(world):
    x = torch.randn(40)
    dynamic = torch.empty(0)
    run = on_gpu(dynamic)
    run(dynamic, 3, 1.5)
    run(dynamic, 3, 1.5)
    assert not world.plain and not world.direct.calls and x is not None


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("global_scratch_size", 64), ("profile_scratch_size", 8), ("gsan_enabled", True), ("__module__", "elsewhere")],
)
def test_scratch_memory_sanitizers_and_unknown_launchers_go_through_triton(world, monkeypatch, attribute, value):
    monkeypatch.setattr(world.kind, attribute, value, raising=False)
    x = torch.randn(40)
    run = on_gpu(x)
    for _ in range(3):
        run(x, 3, 1.5)
    assert len(world.plain) == 3 and not world.direct.calls


def test_an_unknown_form_goes_through_triton(world):
    def call(self, gridX, gridY, gridZ, stream, function, something, *args):
        world.plain.append(args)

    world.kind.__call__ = call
    x = torch.randn(40)
    run = on_gpu(x)
    for _ in range(3):
        run(x, 3, 1.5)
    assert len(world.plain) == 3 and not world.direct.calls


def test_threads_compile_once(world):
    x = torch.randn(40)
    run = on_gpu(x)
    start = threading.Barrier(4)

    def work():
        start.wait()
        run(x, 3, 1.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.compiled) == 1 and len(world.plain) + len(world.direct.calls) == 4


def test_the_installed_launchers_form_is_known():
    """Triton's own class, without a GPU to make one for."""
    from triton.backends.nvidia.driver import CudaLauncher

    from helion.runtime.launching import direct

    parameters = direct._parameters(CudaLauncher)
    assert parameters in (direct._PACKED_PARAMETERS, direct._UNPACKED_PARAMETERS)


@pytest.mark.gpu
def test_graphs_streams_and_other_variants_on_a_gpu():
    kernel = scaled()
    x = torch.randn(1000, device="cuda")
    torch.testing.assert_close(kernel(x, 3, 1.5), x * 3 + 1.5)
    torch.testing.assert_close(kernel(x[1:], 3, 1.5), x[1:] * 3 + 1.5)
    torch.testing.assert_close(kernel(x, 2**33, 1.5), x * 2**33 + 1.5)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = kernel(x, 3, 1.5)
    x.fill_(2.0)
    graph.replay()
    torch.testing.assert_close(out, torch.full_like(out, 7.5))
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        out = kernel(x, 4, 0.0)
    side.synchronize()
    torch.testing.assert_close(out, torch.full_like(out, 8.0))


@pytest.mark.gpu
def test_several_gpus():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    kernel = scaled()
    for _ in range(3):
        for index in range(torch.cuda.device_count()):
            x = torch.randn(100, device=f"cuda:{index}")
            torch.testing.assert_close(kernel(x, 3, 1.5), x * 3 + 1.5)
    assert torch.cuda.current_device() == 0
