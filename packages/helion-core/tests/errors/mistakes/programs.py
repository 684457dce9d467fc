"""Kernels inside torch programs: graphs, transforms, operators."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import helion
import helion.language as hl
from helion import exc
from helion.integration import as_op

from .record import X, mistake

TOTAL = torch.zeros(64, 64)


@helion.kernel(autotune_effort="none")
def doubled(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        out[tile] = x[tile] * 2
    return out


@helion.kernel(autotune_effort="none")
def counted_up(x: torch.Tensor) -> None:
    for tile in hl.tile(x.size()):
        x[tile] = x[tile] + 1


@helion.kernel(autotune_effort="none")
def summed_into_a_global(x: torch.Tensor) -> None:
    for tile in hl.tile(x.size()):
        TOTAL[tile] = x[tile]


@helion.kernel(autotune_effort="none")
def shares_of_rows(x: torch.Tensor) -> torch.Tensor:
    share = hl.register_block_size(x.size(0))
    out = torch.empty([(x.size(0) + share - 1) // share], device=x.device)
    for rows in hl.tile(x.size(0), block_size=share):
        out[rows.id] = x[rows, :].sum(-1).sum(0)
    return out


@mistake(
    exc.NotInGraph,
    "summed_into_a_global(FakeTensorMode",
    "stores to a tensor that is not one of its arguments",
    script=True,
)
def store_to_a_global_in_a_graph():
    summed_into_a_global(FakeTensorMode().from_tensor(X))


@mistake(exc.NotInGraph, "shares_of_rows(X.to", "other shapes under other configs", "config=", script=True)
def shape_that_the_config_decides():
    shares_of_rows(X.to("meta"))


@mistake(exc.TransformNotSupported, "doubled(x).sum()", "torch.func.grad", 'doubled.as_op("lib::doubled"', script=True)
def gradient_of_a_kernel():
    torch.func.grad(lambda x: doubled(x).sum())(X)


@mistake(exc.TransformNotSupported, "torch.func.jvp(doubled", "jvp", "no derivative", script=True)
def forward_derivative_of_a_kernel():
    torch.func.jvp(doubled, (X,), (X,))


@mistake(exc.TransformNotSupported, "torch.vmap(counted_up)", "torch.vmap", "in place", script=True)
def batches_changed_in_place():
    torch.vmap(counted_up)(X.reshape(4, 16, 64))


@mistake(exc.InvalidOperator, 'doubled.as_op("doubled")', "library::operator", script=True)
def operator_without_a_library():
    doubled.as_op("doubled")


@mistake(exc.InvalidOperator, "doubled.as_op('aten::add')", "`aten::add`", "already", script=True)
def operator_of_a_name_that_is_taken():
    doubled.as_op('aten::add')  # fmt: skip


def with_epilogue(x: torch.Tensor, epilogue: dict[str, float]) -> torch.Tensor:
    return doubled(x)


@mistake(
    exc.InvalidOperator, "epilogue: dict", "parameter `epilogue`", "dict[str, float]", script=True,
    helpers=(with_epilogue,),
)  # fmt: skip
def operator_that_takes_a_dict():
    as_op(with_epilogue, "mistakes::with_epilogue")


def without_types(x) -> torch.Tensor:
    return doubled(x)


@mistake(exc.InvalidOperator, None, "`x` has no annotation", script=True)
def operator_without_annotations():
    as_op(without_types, "mistakes::without_types")


@mistake(exc.InvalidOperator, None, "changes an argument in place", "backward", script=True)
def backward_of_an_operator_that_works_in_place():
    counted_up.as_op("mistakes::counted_up_backward", backward=lambda ctx, grad: grad)


def same_again(x: torch.Tensor) -> torch.Tensor:
    counted_up(x)
    return x


@mistake(exc.SchemaMismatch, None, "changes `x`", "mutates=['x']", script=True)
def operator_that_hides_what_it_changes():
    as_op(same_again, f"mistakes::same_again_{fresh()}")(X.clone())


@mistake(exc.SchemaMismatch, None, "shares the memory of argument `x`", ".clone()", script=True)
def operator_that_returns_its_argument():
    as_op(same_again, f"mistakes::same_again_{fresh()}", mutates=["x"])(X.clone())


_made = iter(range(1000))


def fresh() -> int:
    """A number for a name: mistakes are made more than once."""
    return next(_made)
