"""Products of float8 matrices against float64."""

from __future__ import annotations

import pytest
import torch

from helion_kernels import scaled_mm
from helion_kernels.testing import check

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2


def exact(a, b, scale_a, scale_b, bias=None, **_):
    out = a @ b * scale_a * scale_b
    return out if bias is None else out + bias


def operands(m=40, n=33, k=70, left=E4M3, right=E4M3):
    return torch.randn(m, k).to(left), torch.randn(n, k).to(right).t()


@pytest.mark.parametrize("out_dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fast", [False, True])
def test_scales_of_tensors(out_dtype, fast):
    scales = torch.tensor(0.5), torch.tensor(0.125)
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[out_dtype]
    options = {"out_dtype": out_dtype, "use_fast_accum": fast}
    check(scaled_mm, *operands(), *scales, reference=exact, gradients=False, tolerance=tolerance, **options)


@pytest.mark.parametrize(("left", "right"), [(E4M3, E4M3), (E4M3, E5M2), (E5M2, E4M3)], ids=str)
def test_scales_of_rows_and_bias(left, right):
    args = *operands(left=left, right=right), torch.rand(40, 1), torch.rand(1, 33), torch.randn(33).bfloat16()
    check(scaled_mm, *args, reference=exact, gradients=False, tolerance=1.6e-2, out_dtype=torch.bfloat16)


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 16), (1, 64, 300), (65, 16, 16)])
def test_sizes_and_strides(m, n, k):
    a, b = operands(m, n, k)
    scales = torch.rand(m, 1), torch.rand(1, n)
    options = {"reference": exact, "gradients": False, "tolerance": 1e-5, "out_dtype": torch.float32}
    check(scaled_mm, a, b, *scales, **options)
    check(scaled_mm, a.t().contiguous().t(), b.contiguous(), *scales, **options)


def test_sums_are_kept_apart_unless_fast():
    from helion_kernels.scaled_mm import scaled_mm_tiles

    args = (*operands(64, 64, 256), torch.ones(1), torch.ones(1), None, torch.float32)
    assert "acc=" not in scaled_mm_tiles.bind((*args, False)).to_triton_code()
    assert "acc=" in scaled_mm_tiles.bind((*args, True)).to_triton_code()
