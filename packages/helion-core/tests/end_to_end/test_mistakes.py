"""Typical mistakes: which error, what it says, where it points, and what to write instead."""

import pickle
import sys
import traceback
from dataclasses import dataclass

import pytest
import torch

import helion
import helion.language as hl
from helion import exc


@dataclass
class Mistake:
    """`text` is the expression that the caret underlines; `says` and `help` must be in the message."""

    kernel: object
    args: tuple
    error: type
    text: str
    says: list[str]
    help: str


MISTAKES: list[Mistake] = []


def mistake(error, text, says, help, *args):
    def record(function):
        kernel = helion.kernel(use_default_config=True)(function)
        MISTAKES.append(Mistake(kernel, args, error, text, says, help))
        return kernel

    return record


X = torch.randn(20, 30)
V = torch.randn(20)


@mistake(
    exc.ShapeMismatch, "v - v.amax(1)",
    ["sub: shapes [BLOCK_M, BLOCK_N] and [BLOCK_M] do not broadcast", "size BLOCK_N against BLOCK_M in dimension 1"],
    "keepdim=True", X,
)  # fmt: skip
def forgotten_keepdim(x):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        v = x[tile_m, tile_n]
        out[tile_m, tile_n] = v - v.amax(1)
    return out


@mistake(
    exc.ShapeMismatch, "x[tile_m, tile_k] @ y[tile_n, tile_k]",
    ["[BLOCK_M, BLOCK_K] and [BLOCK_N, BLOCK_K] do not multiply", "the inner sizes BLOCK_K and BLOCK_N differ"],
    "the second last of the right", X, X,
)  # fmt: skip
def forgotten_transpose(x, y):
    out = torch.empty([x.size(0), y.size(0)])
    for tile_m, tile_n in hl.tile(out.size()):
        acc = hl.zeros([tile_m, tile_n])
        for tile_k in hl.tile(x.size(1)):
            acc = acc + x[tile_m, tile_k] @ y[tile_n, tile_k]
        out[tile_m, tile_n] = acc
    return out


@mistake(
    exc.TileSizeMismatch, "y[tile]",
    ["`tile` runs to 20", "dimension 0 of `y`, whose size is 7"], "shapes of the arguments", V, torch.randn(7),
)  # fmt: skip
def sizes_of_arguments(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + y[tile]
    return out


@mistake(
    exc.ControlFlowTensorMismatch, "for tile_n in hl.tile(x.size(1))",
    ["`acc` is float16[BLOCK_M] before and float32[BLOCK_M] after"], "acc = acc.to(torch.float16)", X,
)  # fmt: skip
def carried_dtype(x):
    out = torch.empty(x.size(0))
    for tile_m in hl.tile(x.size(0)):
        acc = hl.zeros([tile_m], dtype=torch.float16)
        for tile_n in hl.tile(x.size(1)):
            acc = acc + x[tile_m, tile_n].sum(1)
        out[tile_m] = acc
    return out


@mistake(
    exc.ControlFlowTensorMismatch, "for tile_n in hl.tile(x.size(1))",
    ["`acc` is float32[BLOCK_M] before and float32[BLOCK_M, BLOCK_N] after"], "make the two agree", X,
)  # fmt: skip
def carried_shape(x):
    out = torch.empty(x.size(0))
    for tile_m in hl.tile(x.size(0)):
        acc = hl.zeros([tile_m])
        for tile_n in hl.tile(x.size(1)):
            acc = acc[:, None] + x[tile_m, tile_n] if acc.dim() == 1 else acc
        out[tile_m] = acc
    return out


@mistake(
    exc.HostTensorDirectUsage, "x[tile] + y", ["the whole host tensor `y` of shape [20]", "by add"], "`y[tile]`", V, V
)  # fmt: skip
def whole_host_tensor(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + y
    return out


@mistake(exc.HostTensorDirectUsage, "torch.exp(y)", ["the whole host tensor `y`", "by exp"], "`y[tile, :]`", V, X)
def function_of_a_host_tensor(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + torch.exp(y)[0, 0]
    return out


@mistake(
    exc.RankMismatch, "x[tile, tile, tile]", ["`x` has 2 dimensions but is indexed by 3"], "one index per dimension", X
)
def too_many_indices(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, 0] = x[tile, tile, tile]
    return out


@mistake(exc.OutOfRangeIndex, "x[tile, 30]", ["index 30 is out of range", "`x`, whose size is 30"], "-30 to 29", X)
def index_out_of_range(x):
    out = torch.empty(x.size(0))
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, 30]
    return out


@mistake(exc.DeviceTensorSubscriptAssignment, "v[0]", ["cannot be assigned by subscript"], "torch.where", V)
def assigns_into_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        v[0] = 1
        out[tile] = v
    return out


@mistake(exc.VectorCondition, "if v > 0", ["condition of `if` is a tile of shape [BLOCK_TILE]"], "torch.where", V)
def vector_condition(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        if v > 0:
            v = -v
        out[tile] = v
    return out


@mistake(exc.DeviceValueAsPython, "x[tile].sum().item()", ["Python number", ".item()"], "keep it a 0-d device value", V)
def item(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].sum().item()
    return out


@mistake(exc.DataDependentShape, "x[tile].nonzero()", ["nonzero", "depends on the data"], "torch.where", V)
def nonzero(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].nonzero()
    return out


@mistake(
    exc.ShapeSpecializingAllocation, "[v] * tile.block_size", ["needed as a Python number"], "keep them symbolic", V
)
def block_size_as_number(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = sum([v] * tile.block_size)
    return out


@mistake(exc.DeviceLoopWithoutEffect, "for tile in hl.tile(x.size(0))", ["stores nothing"], "out[tile] = ...", V)
def no_effect(x):
    for tile in hl.tile(x.size(0)):
        x[tile] * 2


@mistake(
    exc.DeviceLoopInHostControlFlow,
    "for tile in hl.tile(x.size(0))",
    ["under a host `if`"],
    "top level of the kernel",
    V,
)
def loop_under_host_if(x):
    out = torch.empty_like(x)
    if x.size(0) > 3:
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile]
    return out


@mistake(
    exc.LoopFunctionNotInFor, "list(hl.tile(x.size(0)))", ["must be iterated by a `for`"], "for tile in hl.tile", V
)
def tile_outside_for(x):
    out = torch.empty_like(x)
    tiles = list(hl.tile(x.size(0)))
    for tile in tiles:
        out[tile] = x[tile]
    return out


@mistake(
    exc.LoopDependencyError,
    "for tile in hl.tile(x.size(0))",
    ["reads `first`", "an earlier tile loop"],
    "hl.barrier()",
    V,
)
def reads_an_earlier_loop(x):
    first, second = torch.empty_like(x), torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        first[tile] = x[tile] * 2
    for tile in hl.tile(x.size(0)):
        second[tile] = first[tile] * 2
    return second


@helion.kernel(use_default_config=True)
def callee(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


@mistake(
    exc.NestedKernelCallsNotSupported,
    "callee(x)",
    ["`callee` was called from inside another kernel"],
    "plain function",
    V,
)
def calls_a_kernel(x):
    out = torch.empty_like(x)
    y = callee(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = y[tile]
    return out


@mistake(exc.UndefinedVariable, "last + 1", ["`last` may be used before it has a value"], "assign `last` before", X)
def assigned_only_in_the_loop(x):
    out = torch.empty(x.size(0))
    for tile_m in hl.tile(x.size(0)):
        for tile_n in hl.tile(x.size(1)):
            last = x[tile_m, tile_n].sum(1)
        out[tile_m] = last + 1
    return out


@mistake(exc.DeviceControlFlow, "for tile in hl.tile(x.size(0))", ["`break` inside a device loop"], "torch.where", V)
def breaks_early(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        if x[tile].sum() > 3:
            break
        out[tile] = x[tile]
    return out


@mistake(exc.DataDependentShape, "x[tile.index > 3]", ["a boolean mask as an index"], "torch.where", V)
def boolean_mask(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile.index > 3]
    return out


@mistake(exc.DtypeMismatch, "x[tile, :] @ y[:, :]", ["torch.float32 and torch.float16"], ".to(dtype)", X, X.t().half())
def dtypes_of_a_product(x, y):
    out = torch.empty([x.size(0), y.size(1)])
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :] @ y[:, :]
    return out


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.kernel.name)
def test_mistake(case):
    with pytest.raises(exc.Base) as caught:
        case.kernel(*case.args)
    error, text = caught.value, str(caught.value)
    assert type(error) is case.error, text
    assert all(said in text for said in case.says), text
    assert "\n  help: " in text and case.help in text.split("\n  help: ")[1], text

    place = error.location
    assert place.filename == __file__ and f"{__file__}:{place.line}:{place.column + 1}" in text
    first = case.kernel.fn.__code__.co_firstlineno
    assert first < place.line < first + 20
    if sys.version_info >= (3, 11):  # before, Python knows no columns
        assert place.text[place.column : place.end_column] == case.text, text

    last = traceback.extract_tb(error.__traceback__)[-1]
    assert (last.filename, last.lineno) == (__file__, place.line)

    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == text


def test_a_kernel_works_after_a_mistake():
    with pytest.raises(exc.TileSizeMismatch):
        sizes_of_arguments(V, torch.randn(7))
    torch.testing.assert_close(sizes_of_arguments(V, V), 2 * V)


def test_exceptions_of_the_users_own_host_code_pass_through():
    @helion.kernel(use_default_config=True)
    def picky(x):
        if x.dim() != 2:
            raise ValueError("two dimensions, please")
        out = torch.empty_like(x)
        for tile in hl.tile(x.size()):
            out[tile] = x[tile]
        return out

    with pytest.raises(ValueError, match="two dimensions, please"):
        picky(V)


def test_language_functions_outside_a_kernel():
    for call in (lambda: hl.zeros([3]), lambda: list(hl.tile(3)), lambda: hl.register_block_size(16)):
        with pytest.raises(exc.NotInsideKernel, match="outside a kernel"):
            call()


def test_no_tile_loop_and_no_tensor():
    @helion.kernel(use_default_config=True)
    def nothing(x):
        return x + 1

    with pytest.raises(exc.NoDeviceLoop, match="`nothing` has no tile loop"):
        nothing(V)
    with pytest.raises(exc.NoTensorArgs, match="without any tensor"):
        nothing(3)


def test_wrong_arguments():
    with pytest.raises(exc.WrongArguments, match="missing a required argument: 'y'"):
        sizes_of_arguments(V)
    with pytest.raises(exc.WrongArguments, match="unexpected keyword argument 'z'"):
        sizes_of_arguments(V, V, z=1)
    with pytest.raises(exc.UnsupportedArgument, match="argument `y` of type"):
        sizes_of_arguments(V, object.__new__(object))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"block_sizes": [24]}, "block_sizes[0]"),
        ({"block_sizes": [16, 16]}, "block_sizes"),
        ({"num_warps": 3}, "num_warps"),
        ({"num_stages": 0}, "num_stages"),
        ({"loop_orders": [[1, 0]]}, "loop_orders"),
        ({"no_such_key": 1}, "no_such_key"),
    ],
)
def test_configs_that_the_kernel_cannot_have(config, key):
    kernel = helion.kernel(config=config)(sizes_of_arguments.fn)
    with pytest.raises(exc.InvalidConfig) as caught:
        kernel(V, V)
    assert caught.value.fields["key"] == key and f"config key `{key}`" in str(caught.value)
