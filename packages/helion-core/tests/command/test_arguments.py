"""Arguments written on a command line."""

import pytest
import torch

from helion import exc
from helion.command.arguments import describe_arguments, parse_arguments, parse_dtype


def test_tensors():
    (x, y), keywords = parse_arguments(
        "bf16[4096, 1], float32[8, 4].strides[1, 8], z=torch.int64[]".replace("[]", "[3]")
    )
    assert x.shape == (4096, 1) and x.dtype is torch.bfloat16 and x.is_meta
    assert y.stride() == (1, 8) and y.dtype is torch.float32
    assert keywords["z"].dtype is torch.int64


def test_other_values():
    positional, keywords = parse_arguments(
        "[f16[2], f16[3]], (1, 2), dtype=torch.float16, eps=1e-5, on=True, n=-1, s='a'"
    )
    assert [t.shape for t in positional[0]] == [(2,), (3,)] and positional[1] == (1, 2)
    assert keywords == {"dtype": torch.float16, "eps": 1e-5, "on": True, "n": -1, "s": "a"}


def test_nothing():
    assert parse_arguments("") == ([], {})


def test_huge_tensors_cost_nothing():
    (x,), _ = parse_arguments("f64[1000000000, 1000000]")
    assert x.numel() == 10**15


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bf16[", "does not read as arguments"),
        ("f61[3]", "there is no dtype `f61`.*help: dtypes: bf16, bool"),
        ("f32[x]", "sizes and strides are numbers"),
        ("f32[-1]", "sizes and strides are numbers"),
        ("f32[2, 3].strides[1]", "2 are needed for the shape"),
        ("open('x')", "no tensor, number, string, bool or dtype"),
        ("**{}", "not a list of arguments"),
        ("1) or f(2", "not a list of arguments"),
    ],
)
def test_what_does_not_read(text, message):
    with pytest.raises(exc.CommandFailed, match=f"(?s){message}"):
        parse_arguments(text)


def test_described_as_they_are_written():
    text = "bf16[4, 8], f32[4, 8].strides[1, 4], [i64[2], i64[3]], 0.5, True, None, torch.float16"
    positional, _ = parse_arguments(text)
    assert describe_arguments(positional) == text


def test_dtypes():
    assert {parse_dtype(n) for n in ("f16", "float16", "torch.float16")} == {torch.float16}
