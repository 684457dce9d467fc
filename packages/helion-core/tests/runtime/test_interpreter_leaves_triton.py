"""After a kernel ran in the interpreter, Triton compiles as before."""

import torch

import helion
import helion.language as hl
from helion.runtime.targets import parse_target


@helion.kernel(use_default_config=True)
def noise(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * hl.rand([tile], seed=7)
    return out


def test_nested_functions_of_triton_still_compile():
    x = torch.ones(100)
    assert 0 <= noise(x).min() < noise(x).max() < 1
    assert noise.bind((x,)).compile_for(parse_target("sm_90")).code_size > 0
