"""torch.compile(fullgraph=True) over a transformer block whose parts are kernels: right forward and backward."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformer
from torch._dynamo.utils import counters


def gradients(block, x):
    x = x.detach().requires_grad_()
    out = block(x)
    inputs = [x, *block.parameters()]
    # a gradient that is neither contiguous nor constant
    seed = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view(out.size(1), out.size(0)).t()
    return [out.detach(), *torch.autograd.grad(out, inputs, seed)]


def check(ours, theirs, tokens, device, dtype, tolerance):
    x = torch.randn(tokens, 32, device=device, dtype=dtype)
    for got, want in zip(gradients(ours, x), gradients(theirs, x.double()), strict=True):
        scale = want.abs().max().clamp(min=1)
        torch.testing.assert_close(got.double() / scale, want / scale, atol=tolerance, rtol=0)


class Compiled(torch.nn.Module):
    def __init__(self, block, **options):
        super().__init__()
        self.block, self.run = block, torch.compile(block, fullgraph=True, **options)

    def parameters(self, recurse=True):
        return self.block.parameters(recurse)

    def forward(self, x):
        return self.run(x)


def test_block():
    ours, theirs = transformer.twins(32, 2, 24, "cpu", torch.float32)
    check(ours, theirs, 5, "cpu", torch.float32, 1e-5)
    compiled = Compiled(ours, backend="aot_eager")
    for tokens in (7, 1, 21):
        check(compiled, theirs, tokens, "cpu", torch.float32, 1e-5)
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] <= 3  # the first size, a single token, any other size


def test_more_sizes_compile_nothing():
    ours, _ = transformer.twins(32, 2, 24, "cpu", torch.float32)
    compiled = torch.compile(ours, fullgraph=True, backend="eager")
    with torch.no_grad():
        for tokens in (5, 7, 9, 12):
            torch.testing.assert_close(compiled(x := torch.randn(tokens, 32)), ours(x))
    assert counters["stats"]["unique_graphs"] == 2


@pytest.mark.slow
def test_block_through_inductor():
    ours, theirs = transformer.twins(32, 2, 24, "cpu", torch.float32)
    compiled = Compiled(ours, backend="inductor", dynamic=True)
    for tokens in (7, 21):
        check(compiled, theirs, tokens, "cpu", torch.float32, 1e-5)
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]


ONE_STEP = """
import torch, transformer
x = torch.randn(6, 8, requires_grad=True)
y = torch.randn(8, 5)
out = torch.compile(lambda x, y: transformer.matmul_op(x.sin(), y), fullgraph=True)(x, y)
torch.testing.assert_close(torch.autograd.grad(out.sum(), x)[0], x.cos() * y.sum(1))
"""


@pytest.mark.slow
def test_graphs_that_torch_keeps_on_disk(tmp_path):
    """Another process may find a compiled backward there, whose operators nobody has registered yet."""
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", ONE_STEP], env=environment, check=True, timeout=300)


def test_explain_finds_one_graph():
    ours, _ = transformer.twins(32, 2, 24, "cpu", torch.float32)
    found = torch._dynamo.explain(ours)(torch.randn(6, 32))
    assert found.graph_count == 1 and found.graph_break_count == 0
    calls = [n for n in found.graphs[0].graph.nodes if "helion_tests" in n.args]
    assert len(calls) == 10


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_block_on_a_gpu(dtype, tolerance, mode):
    ours, theirs = transformer.twins(32, 2, 24, "cuda", dtype)
    compiled = Compiled(ours, mode=mode)
    for tokens in (7, 33, 128, 128, 128):
        check(compiled, theirs, tokens, "cuda", dtype, tolerance)
    assert not counters["graph_break"]
