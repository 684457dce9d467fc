"""What `operator` registers, over an operator of the tests' own."""

from __future__ import annotations

import pytest
import torch

from helion_kernels.frame import operator


def _save(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])


seen = []


def _gradients(ctx, grad, other):
    seen.append(other)
    (x,) = ctx.saved_tensors
    return (cubed_backward(grad, x) if grad is not None else 0) + (0 if other is None else 2 * other), None


cubed_backward = operator(
    "test_cubed_backward(Tensor grad, Tensor x) -> Tensor", lambda grad, x: grad * 3 * x * x,
    lambda grad, x: torch.empty_like(x),
)  # fmt: skip
cubed = operator(
    "test_cubed(Tensor x, float scale) -> (Tensor, Tensor)", lambda x, scale: (x**3, x * scale),
    lambda x, scale: (torch.empty_like(x), torch.empty_like(x)), _gradients, _save,
)  # fmt: skip


def test_values_gradients_and_no_second_derivative():
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    (dx,) = torch.autograd.grad(cubed(x, 2.0)[0].sum(), x, create_graph=True)
    torch.testing.assert_close(dx, 3 * x * x)
    assert seen[-1] is None, "no tensor of zeros for a result that nothing used"
    with pytest.raises(NotImplementedError, match="test_cubed_backward has no derivative"):
        dx.sum().backward()


@pytest.mark.parametrize("how", [torch.no_grad, torch.inference_mode])
def test_no_graph_where_none_is_wanted(how):
    with how():
        assert not cubed(torch.randn(3, requires_grad=True), 2.0)[0].requires_grad
    assert not cubed(torch.randn(3), 2.0)[0].requires_grad


def test_modes_see_the_operator():
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Watch():
        cubed(torch.randn(3), 2.0)
    assert torch.ops.helion_kernels.test_cubed.default in seen


def test_opcheck():
    for requires_grad in (False, True):
        x = torch.randn(3, requires_grad=requires_grad)
        torch.library.opcheck(torch.ops.helion_kernels.test_cubed.default, (x, 2.0))
