"""Arithmetic on number arguments inside device code: what Python computes, whatever the signs and sizes."""

import math

import pytest
import torch

import helion
import helion.language as hl

EXPRESSIONS = {
    "floor division": lambda a, b, f, g: a // b,
    "remainder": lambda a, b, f, g: a % b,
    "shift": lambda a, b, f, g: (a >> 1) + (a << abs(b)),
    "bits": lambda a, b, f, g: (a & 6) + (a | b) * 100 + (a ^ b) * 10000,
    "a comparison of bits": lambda a, b, f, g: (a & 1) == 1,
    "powers": lambda a, b, f, g: a**5 + 2 ** abs(b) + abs(a) ** abs(b),
    "beyond 32 bits": lambda a, b, f, g: a * 1000003 * 1000003 + 2**40,
    "extremes": lambda a, b, f, g: min(a, b) * 10 + max(a, b, 4),
    "floats": lambda a, b, f, g: f // g + f % g + f**2 + f**0.5 + abs(g) ** f + 2**f,
    "mixed": lambda a, b, f, g: f // a + f % a + a // f + f * a + a / b,
    "rounding": lambda a, b, f, g: round(g) + math.floor(g) * 10 + math.ceil(g) * 100 + math.trunc(g) * 1000,
    "to int": lambda a, b, f, g: int(g) + int(a / 2) * 10 + int(a * f) * 100,
    "math": lambda a, b, f, g: math.sqrt(abs(a)) + math.exp(g) + math.log(f),
}


@helion.kernel(use_default_config=True)
def filled(x, function, a, b, f, g):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + function(a, b, f, g)
    return out


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_as_python(name):
    function = EXPRESSIONS[name]
    for numbers in ((-3, 7, 2.5, -1.75), (7, -2, 3.5, 6.25), (-8, -5, 0.5, 2.5)):
        found = filled(torch.zeros(3, dtype=torch.float64), function, *numbers)
        torch.testing.assert_close(found, torch.full_like(found, function(*numbers)), rtol=1e-6, atol=1e-6)


def test_with_offsets_of_tiles():
    @helion.kernel(use_default_config=True)
    def steps(x, a):
        out = torch.empty([2, x.size(0)], dtype=torch.int64)
        for i in hl.grid(x.size(0)):
            out[0, i] = (i - a) // 3
            out[1, i] = (i - a) % 3
        return out

    expected = [[(i - 7) // 3 for i in range(12)], [(i - 7) % 3 for i in range(12)]]
    assert steps(torch.zeros(12), 7).tolist() == expected


def test_one_argument_for_one_number():
    @helion.kernel(use_default_config=True)
    def shifted(x, a, b):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * (a // b) + (a // b)
        return out

    x = torch.zeros(3)
    assert "_launch(_kernel, (1,), x, out, a // b, " in shifted.bind((x, 1, 2)).to_triton_code()
    assert shifted(x, -1, 2).tolist() == [-1.0] * 3
