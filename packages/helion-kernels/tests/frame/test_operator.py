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


def test_profilers_see_the_operator():
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        cubed(torch.randn(3), 2.0)
    assert "helion_kernels::test_cubed" in {event.key for event in profile.key_averages()}


def test_calls_that_nobody_watches_skip_the_dispatcher(monkeypatch):
    """What makes a call cheap; a watched one would be counted."""
    calls = []
    monkeypatch.setattr(torch._ops.OpOverload, "__call__", lambda self, *args: calls.append(self))
    x = torch.randn(3, requires_grad=True)
    (dx,) = torch.autograd.grad(cubed(x, 2.0)[0].sum(), x)
    torch.testing.assert_close(dx, 3 * x.detach() ** 2)
    assert not calls


@pytest.mark.parametrize("requires_grad", [False, True])
def test_results_may_be_changed_in_place(requires_grad):
    x = torch.randn(3, requires_grad=requires_grad)
    one, two = cubed(x, 2.0)
    torch.testing.assert_close(one.add_(1.0), x.detach() ** 3 + 1, check_stride=True)
    assert two.mul_(3.0).requires_grad is requires_grad


def test_the_negative_of_what_memory_holds():
    x = torch.randn(3, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    torch.testing.assert_close(cubed(x, 2.0)[1], x.resolve_neg() * 2)


def test_hooks_of_saved_tensors():
    x, packed = torch.randn(3, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        cubed(x, 2.0)
    assert len(packed) == 1


def test_transforms():
    x = torch.randn(5, 3)

    def total(x):
        return cubed(x, 2.0)[0].sum()

    torch.testing.assert_close(torch.func.grad(total)(x), 3 * x**2)
    torch.testing.assert_close(torch.vmap(torch.func.grad(total))(x), 3 * x**2)
    torch.testing.assert_close(torch.func.grad(lambda x: torch.vmap(total)(x).sum())(x), 3 * x**2)
    for dims in (0, 1):
        found = torch.vmap(lambda x: cubed(x, 2.0), in_dims=dims, out_dims=dims)(x)
        torch.testing.assert_close(found, (x**3, 2 * x))
    nothing = torch.vmap(lambda x: cubed(x, 2.0), in_dims=1)(x[:, :0])
    assert [t.shape for t in nothing] == [(0, 5), (0, 5)]
    with pytest.raises(NotImplementedError, match="test_cubed_backward has no derivative"):
        torch.func.grad(lambda x: torch.func.grad(total)(x).sum())(x)
    functional = torch.func.functionalize(lambda x: cubed(x.add_(1.0), 2.0))
    torch.testing.assert_close(functional(x.clone())[1], 2 * (x + 1))


def test_forward_mode_is_refused():
    """Operators of torch.library give no tangent, and do not say so."""
    x = torch.randn(5, 3)
    with pytest.raises(NotImplementedError, match="test_cubed has no derivative in forward mode"):
        torch.func.jvp(lambda x: cubed(x, 2.0), (x,), (x,))
    with torch.autograd.forward_ad.dual_level():
        torch.testing.assert_close(cubed(x, 2.0)[0], x**3)
        with pytest.raises(NotImplementedError, match="test_cubed has no derivative in forward mode"):
            cubed(torch.autograd.forward_ad.make_dual(x, x), 2.0)


def test_modes_that_see_functions():
    x = torch.randn(5, 3)
    with torch.device("cpu"):
        torch.testing.assert_close(cubed(x, 2.0)[0], x**3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_traced_by_jit():
    traced = torch.jit.trace(lambda x: cubed(x, 2.0), torch.ones(3))
    torch.testing.assert_close(traced(torch.full((3,), 2.0)), (torch.full((3,), 8.0), torch.full((3,), 4.0)))
