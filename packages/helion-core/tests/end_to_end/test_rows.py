"""Elementwise kernels and kernels that reduce rows: add, softmax, layer norm, attention."""

import math

import pytest
import torch

import helion
import helion.language as hl

F32 = {"rtol": 1e-5, "atol": 1e-5}
HALF = {torch.float16: {"rtol": 2e-3, "atol": 2e-3}, torch.bfloat16: {"rtol": 2e-2, "atol": 2e-2}}


def close(out, expected):
    torch.testing.assert_close(out.double(), expected, **HALF.get(out.dtype, F32))


@helion.kernel(use_default_config=True)
def add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x, y = torch.broadcast_tensors(x, y)
    out = torch.empty(x.shape, dtype=torch.promote_types(x.dtype, y.dtype), device=x.device)
    for tile in hl.tile(out.size()):
        out[tile] = x[tile] + y[tile]
    return out


@pytest.mark.parametrize(
    ("left", "right"),
    [((100, 70), (100, 70)), ((100, 70), (70,)), ((100, 1), (1, 70)), ((3, 5, 7), (5, 1)), ((9,), ()), ((4, 0), (1,))],
    ids=str,
)
def test_add_broadcasts_on_the_host(left, right):
    x, y = torch.randn(left), torch.randn(right)
    close(add(x, y), x.double() + y.double())


def test_add_promotes():
    x, y = torch.randn(33).half(), torch.arange(33)
    assert add(x, y).dtype == torch.float16
    close(add(x, y), (x + y).double())
    mixed = add(torch.randn(33).bfloat16(), torch.ones(33))
    assert mixed.dtype == torch.float32


@helion.kernel(config=helion.Config(block_sizes=[32, 64]))
def scale_and_shift(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n] * scale[tile_m, None] + shift[tile_n]
    return out


def test_broadcasting_on_the_device():
    x, scale, shift = torch.randn(50, 90), torch.randn(50), torch.randn(90)
    close(scale_and_shift(x, scale, shift), x.double() * scale.double()[:, None] + shift.double())


@helion.kernel(use_default_config=True)
def softmax(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.empty_like(x)
    for tile_m in hl.tile(m):
        out[tile_m, :] = torch.softmax(x[tile_m, :], dim=1)
    return out


@helion.kernel(use_default_config=True)
def softmax_decomposed(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.empty_like(x)
    for tile_m in hl.tile(m):
        values = x[tile_m, :]
        amax = torch.amax(values, dim=1, keepdim=True)
        exp = torch.exp(values - amax)
        out[tile_m, :] = exp / torch.sum(exp, dim=1, keepdim=True)
    return out


@helion.kernel(use_default_config=True)
def softmax_two_pass(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.empty_like(x)
    for tile_m in hl.tile(m, block_size=32):
        high = hl.full([tile_m], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(n, block_size=32):
            values = x[tile_m, tile_n]
            new_high = torch.maximum(high, values.amax(dim=1))
            total = total * torch.exp(high - new_high) + torch.exp(values - new_high[:, None]).sum(dim=1)
            high = new_high
        for tile_n in hl.tile(n, block_size=32):
            out[tile_m, tile_n] = torch.exp(x[tile_m, tile_n] - high[:, None]) / total[:, None]
    return out


@pytest.mark.parametrize(
    "kernel", [softmax, softmax_decomposed, softmax_two_pass], ids=["torch", "decomposed", "two passes"]
)
@pytest.mark.parametrize("n", [1, 50, 64, 130])
def test_softmax(kernel, n):
    x = torch.randn(37, n) * 10
    close(kernel(x), torch.softmax(x.double(), dim=1))


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("kernel", [softmax, softmax_decomposed], ids=["torch", "decomposed"])
def test_softmax_of_half_precision(kernel, dtype):
    x = torch.randn(20, 100).to(dtype)
    close(kernel(x), torch.softmax(x.double(), dim=1))


def test_softmax_of_extreme_rows():
    x = torch.tensor([[1e30, -1e30, 0.0], [float("-inf"), 0.0, 0.0], [-3e38, -3e38, -3e38]])
    close(softmax(x), torch.softmax(x.double(), dim=1))


@helion.kernel(use_default_config=True)
def layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    m, n = x.size()
    out = torch.empty_like(x)
    for tile_m in hl.tile(m):
        row = x[tile_m, :].to(torch.float32)
        mean = row.mean(dim=-1, keepdim=True)
        centred = row - mean
        variance = (centred * centred).mean(dim=-1, keepdim=True)
        out[tile_m, :] = centred * torch.rsqrt(variance + eps) * weight[:] + bias[:]
    return out


@helion.kernel(use_default_config=True)
def layer_norm_by_torch(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile_m in hl.tile(x.size(0)):
        out[tile_m, :] = torch.nn.functional.layer_norm(x[tile_m, :], [x.size(1)], weight[:], bias[:])
    return out


@pytest.mark.parametrize("n", [64, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_layer_norm(n, dtype):
    x, weight, bias = (torch.randn(*s).to(dtype) for s in ((40, n), (n,), (n,)))
    expected = torch.nn.functional.layer_norm(x.double(), [n], weight.double(), bias.double(), 1e-5)
    close(layer_norm(x, weight, bias), expected)
    close(layer_norm(x, weight, bias, eps=1e-5), expected)
    close(layer_norm_by_torch(x, weight, bias), expected)


@helion.kernel(use_default_config=True)
def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    total, best, spread = (torch.empty(x.size(0)) for _ in range(3))
    for tile in hl.tile(x.size(0)):
        rows = x[tile, :]
        total[tile] = rows.sum(-1)
        best[tile] = rows.argmax(-1).to(torch.float32)
        spread[tile] = rows.amax(-1) - rows.amin(-1)
    return total, best, spread


def test_several_results_and_reductions_of_odd_rows():
    x = -torch.rand(19, 45) - 1  # padding that leaks in as 0 would be the largest
    total, best, spread = statistics(x)
    close(total, x.double().sum(-1))
    assert torch.equal(best.long(), x.argmax(-1))
    close(spread, x.double().amax(-1) - x.double().amin(-1))


@helion.kernel(config=helion.Config(block_sizes=[1, 64, 32]))
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    m, n, d = q.size(-2), k.size(-2), q.size(-1)
    q3, k3, v3 = q.reshape(-1, m, d), k.reshape(-1, n, d).transpose(1, 2), v.reshape(-1, n, d)
    out = torch.empty_like(q3)
    scale = 1.4426950408889634 / math.sqrt(d)
    for tile_b, tile_m in hl.tile([q3.size(0), m]):
        high = hl.full([tile_b, tile_m], float("-inf"), dtype=torch.float32)
        total = torch.full_like(high, 1.0)
        acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
        queries = q3[tile_b, tile_m, :]
        for tile_n in hl.tile(n):
            scores = torch.bmm(queries, k3[tile_b, :, tile_n])
            new_high = torch.maximum(high, torch.amax(scores, -1) * scale)
            weights = torch.exp2(scores * scale - new_high[:, :, None])
            correction = torch.exp2(high - new_high)
            total = total * correction + torch.sum(weights, -1)
            values = v3[tile_b, tile_n, :]
            acc = torch.baddbmm(acc * correction[:, :, None], weights.to(values.dtype), values)
            high = new_high
        out[tile_b, tile_m, :] = (acc / total[:, :, None]).to(out.dtype)
    return out.view(q.size())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (50, 90)])
def test_attention(dtype, rows, columns):
    q, k, v = (torch.randn(2, 1, s, 32).to(dtype) for s in (rows, columns, columns))
    expected = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double())
    close(attention(q, k, v), expected)


def test_attention_compiles_to_wgmma():
    from helion.runtime.targets import parse_target

    q, k, v = (torch.randn(2, 2, 256, 64).bfloat16() for _ in range(3))
    facts = attention.bind((q, k, v)).compile_for(parse_target("sm_90"), helion.Config(block_sizes=[1, 64, 64]))
    assert facts.matrix_instructions.get("wgmma", 0) > 0 and "mma.sync" not in facts.matrix_instructions


@pytest.mark.gpu
def test_on_a_gpu():
    x, weight, bias = torch.randn(300, 1000), torch.randn(1000), torch.randn(1000)
    close(softmax(x.cuda()).cpu(), torch.softmax(x.double(), dim=1))
    close(softmax_decomposed(x.cuda()).cpu(), torch.softmax(x.double(), dim=1))
    close(add(x.cuda(), bias.cuda()).cpu(), x.double() + bias.double())
    expected = torch.nn.functional.layer_norm(x.double(), [1000], weight.double(), bias.double(), 1e-5)
    close(layer_norm(x.cuda(), weight.cuda(), bias.cuda()).cpu(), expected)
    q, k, v = (torch.randn(2, 3, 130, 64).half() for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double())
    close(attention(q.cuda(), k.cuda(), v.cuda()).cpu(), expected)
