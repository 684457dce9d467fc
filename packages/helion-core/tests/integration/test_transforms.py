"""torch.func over kernels and operators: what works is right, what does not says so."""

import pytest
import torch
from operators import counted_up, fused, fused_op

import helion
import helion.language as hl
from helion import exc

X, Y = torch.randn(3, 4, 5), torch.randn(3, 4, 5)


@pytest.mark.parametrize("function", [fused, fused_op])
def test_vmap(function):
    function(X[0], Y[0])
    torch.testing.assert_close(torch.vmap(function)(X, Y), X * Y)
    torch.testing.assert_close(torch.vmap(function, in_dims=(2, None), out_dims=2)(X, Y[:, :, 0]), X * Y[:, :, :1])
    nested = torch.vmap(torch.vmap(lambda x, y: function(x[None], y[None])))(X, Y)
    torch.testing.assert_close(nested[:, :, 0], X * Y)


def test_plain_arguments_inside_a_transform_are_computed_with():
    torch.testing.assert_close(torch.vmap(lambda x: x + fused(X[0], Y[0]))(X), X + X[0] * Y[0])
    gradient = torch.func.grad(lambda x: (x * fused(X[0], Y[0])).sum())(X[0])
    torch.testing.assert_close(gradient, X[0] * Y[0])


def test_gradient_of_an_operator():
    got = torch.func.grad(lambda x: (fused_op(x, Y[0], 2.0) ** 2).sum())(X[0])
    torch.testing.assert_close(got, 8 * X[0] * Y[0] ** 2)
    each = torch.vmap(torch.func.grad(lambda x, y: fused_op(x, y, factor=0.5).sum()))(X, Y)
    torch.testing.assert_close(each, 0.5 * Y)
    _, pull = torch.func.vjp(lambda x: fused_op(x, Y[0]), X[0])
    torch.testing.assert_close(pull(X[1])[0], X[1] * Y[0])


def test_arguments_are_checked_under_a_transform_too():
    with pytest.raises(TypeError, match="facter"):
        torch.vmap(lambda x, y: fused_op(x, y, facter=0.5))(X, Y)


@pytest.mark.parametrize(
    "transformed",
    [
        lambda: torch.func.grad(lambda x: fused(x, Y[0]).sum())(X[0]),
        lambda: torch.vmap(torch.func.grad(lambda x: fused(x, Y[0]).sum()))(X),
        lambda: torch.func.jvp(lambda x: fused(x, Y[0]), (X[0],), (X[0],)),
        lambda: torch.func.jvp(lambda x: fused_op(x, Y[0]), (X[0],), (X[0],)),
        lambda: torch.vmap(lambda x: counted_up(x, 1))(X.clone()),
        lambda: torch.func.functionalize(lambda x: counted_up(x, 1))(X[0].clone()),
    ],
    ids=["grad", "vmap of grad", "jvp", "jvp of an operator", "vmap in place", "functionalize in place"],
)
def test_refused(transformed):
    fused(X[0], Y[0])
    with pytest.raises(exc.TransformNotSupported):
        transformed()


def test_forward_mode_is_refused():
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(X[0], Y[0])
        with pytest.raises(exc.TransformNotSupported, match="forward-mode"):
            fused_op(dual, Y[0])


def test_tensors_without_a_tangent_in_forward_mode():
    with torch.autograd.forward_ad.dual_level():
        for function in (fused, fused_op):
            torch.testing.assert_close(function(X[0], Y[0]), X[0] * Y[0])
    x, y = X[0], Y[0]
    shifted, tangent = torch.func.jvp(lambda t: t + fused(x, y), (X[1],), (X[2],))
    torch.testing.assert_close((shifted, tangent), (X[1] + x * y, X[2]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jit_trace_is_refused_for_kernels_and_right_for_operators():
    """Also where the call is recognised: a trace would hold the result as a constant."""
    tripled = make_tripled()
    x = torch.ones(3)
    for _ in range(3):
        tripled(x)
    with pytest.raises(exc.TransformNotSupported, match=r"torch\.jit\.trace"):
        torch.jit.trace(lambda x: tripled(x) + 1, x)
    operator = tripled.as_op("helion_tests::jit_tripled")
    traced = torch.jit.trace(lambda x: operator(x) + 1, x)
    torch.testing.assert_close(traced(torch.full((3,), 5.0)), torch.full((3,), 16.0))


def make_tripled():
    @helion.kernel(use_default_config=True)
    def tripled(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size()):
            out[tile] = x[tile] * 3
        return out

    return tripled
