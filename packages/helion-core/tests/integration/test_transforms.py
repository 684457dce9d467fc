"""torch.func over kernels and operators: what works is right, what does not says so."""

import pytest
import torch
from operators import counted_up, fused, fused_op

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
