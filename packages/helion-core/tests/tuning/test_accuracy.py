"""What counts as the same output."""

from __future__ import annotations

import pytest
import torch

from helion.tuning import accuracy
from helion.tuning.accuracy import mismatch

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_rounding_passes_and_errors_do_not(dtype):
    reference = torch.randn(1000, dtype=torch.float64).to(dtype)
    step = torch.finfo(dtype).eps
    assert mismatch(reference * (1 + step), reference) is None
    wrong = reference.clone()
    wrong[17] += 1.0
    assert mismatch(wrong, reference).startswith("1 of 1000 elements differ")


def test_nan_and_infinities_must_be_in_the_same_places():
    reference = torch.tensor([1.0, NAN, INF, -INF])
    assert mismatch(reference.clone(), reference) is None
    for k in range(4):
        wrong = reference.clone()
        wrong[k] = NAN if k != 1 else 1.0
        assert mismatch(wrong, reference) is not None


def test_an_element_that_was_not_written_is_found():
    reference, output = torch.randn(64), torch.randn(64)
    output[:] = reference
    output.view(torch.uint8)[40:44] = 0xFF
    assert mismatch(output, reference) is not None


def test_integers_may_differ_in_few_elements():
    reference = torch.randint(-100, 100, (10_000,), dtype=torch.int8)
    output = reference.clone()
    output[:10] += 1
    assert mismatch(output, reference) is None
    output[:11] = reference[:11] + 2
    assert mismatch(output, reference) is not None
    assert mismatch(torch.tensor([1]), torch.tensor([2])) is not None


def test_bools_complex_strides_and_empty():
    flags = torch.tensor([True, False, True])
    assert mismatch(flags, flags.clone()) is None and mismatch(~flags, flags) is not None
    z = torch.randn(8, dtype=torch.complex64)
    assert mismatch(z, z.clone()) is None and mismatch(z + 1j, z) is not None
    x = torch.randn(6, 6).t()[::2]
    assert mismatch(x, x.clone()) is None
    assert mismatch(torch.empty(0), torch.empty(0)) is None


def test_large_outputs_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr(accuracy, "_CHUNK", 100)
    for reference in (torch.randn(50, 40), torch.randn(40, 50).t()):
        wrong = reference.clone(memory_format=torch.preserve_format)
        assert mismatch(wrong, reference) is None
        wrong[49, 39] += 1
        wrong[0, 0] += 2
        assert mismatch(wrong, reference).startswith("2 of 2000")
