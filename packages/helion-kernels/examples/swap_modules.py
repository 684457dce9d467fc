"""Kernels of this package in a model that exists, without patching torch.

python examples/swap_modules.py

`nn.swap` replaces submodules whose class is exactly torch's, or one for which you give a conversion; parameters stay
the same objects, the state_dict does not change, and `nn.restore` puts everything back.
"""

from __future__ import annotations

import torch

from helion_kernels import nn


class HomemadeRMSNorm(torch.nn.Module):
    """Such as model libraries have them, under names of their own."""

    def __init__(self, size: int, variance_epsilon: float = 1e-6) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(size))
        self.variance_epsilon = variance_epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * (wide * scale).to(x.dtype)


def converted(old: torch.nn.Module) -> torch.nn.Module:
    assert isinstance(old, HomemadeRMSNorm)
    new = nn.RMSNorm(old.weight.numel(), eps=old.variance_epsilon)
    new.weight = old.weight
    return new


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.LayerNorm(256), torch.nn.Linear(256, 64), HomemadeRMSNorm(64),
        torch.nn.Softmax(-1),
    ).to(device)  # fmt: skip
    x = torch.randn(32, 64, device=device)
    expected, state = model(x), model.state_dict()

    swapped = nn.swap(model, {**nn.CONVERSIONS, HomemadeRMSNorm: converted}, skip=["0"])
    for name, old in swapped.items():
        print(f"{name}: {type(old).__name__} is now {type(model.get_submodule(name)).__module__}")
    assert model.state_dict().keys() == state.keys()
    print(f"largest difference of the results: {(model(x) - expected).abs().max().item():.1e}")

    nn.restore(model, swapped)
    assert torch.equal(model(x), expected)


if __name__ == "__main__":
    main()
