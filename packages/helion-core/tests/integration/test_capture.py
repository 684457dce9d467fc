"""CUDA graphs, and more than one GPU."""

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.integration import versions


def make(**settings):
    @helion.kernel(**settings)
    def doubled(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
        return out

    return doubled


def test_a_first_call_during_a_capture_is_refused(monkeypatch):
    doubled, x = make(), torch.randn(16)
    monkeypatch.setattr(versions, "capturing", lambda: True)
    with pytest.raises(exc.WorkDuringCapture, match="before the capture: the first call chooses a config"):
        doubled(x)
    monkeypatch.undo()
    doubled(x)
    monkeypatch.setattr(versions, "capturing", lambda: True)
    torch.testing.assert_close(doubled(x), x * 2)


def test_nothing_is_compiled_during_a_capture(monkeypatch):
    from helion.runtime.launching.launch import GpuLauncher

    doubled = make(config={"block_sizes": [16]})
    generated = doubled.bind((torch.randn(16),)).generate()
    monkeypatch.setattr(versions, "capturing", lambda: True)
    launcher = GpuLauncher(generated, lambda launch: None)
    with pytest.raises(exc.WorkDuringCapture, match="compiles"):
        launcher._compile(None, torch.randn(16), [0, 0], {})


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [{"config": {"block_sizes": [256]}}, {"autotune_effort": "none"}])
def test_capture_and_replay(settings):
    doubled, x = make(**settings), torch.randn(5000, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with pytest.raises(exc.WorkDuringCapture), torch.cuda.graph(graph):
        doubled(x)
    doubled(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = doubled(doubled(x))
    for _ in range(3):
        x.copy_(torch.randn(5000, device="cuda"))
        graph.replay()
        torch.testing.assert_close(out, x * 4)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_tensors_of_another_device_than_the_current():
    doubled = make(autotune_effort="none")
    for index in (1, 0, 1):
        x = torch.randn(5000, device=f"cuda:{index}")
        for _ in range(2):
            out = doubled(x)
            assert out.device == x.device and torch.cuda.current_device() == 0
            torch.testing.assert_close(out, x * 2)
