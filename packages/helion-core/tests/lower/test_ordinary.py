"""What is written here for ordinary operators is, to the letter, what goes through TorchInductor for all others."""

import itertools

import pytest
import torch

from helion.ir import Slot
from helion.lower import inductor, ordinary
from helion.lower.recorder import Template, Unsupported
from helion.lower.spellings import TRITON_DTYPES
from helion.trace.operators.pointwise import result_dtype

X, Y, Z = Slot(0), Slot(1), Slot(2)
DTYPES = sorted(ordinary.DTYPES, key=str)
FEW = (torch.float64, torch.float32, torch.bfloat16, torch.int32, torch.uint8, torch.bool)
NUMBERS = (0, 2, -1, 1e-5, float("inf"), float("nan"))
WHERE = torch.ops.aten.where.self


def options_of(target):
    names = [a.name for a in target._schema.arguments]
    if "alpha" in names:
        return [(), (("alpha", 2),), (("alpha", -0.5),)]
    if "rounding_mode" in names:
        return [(("rounding_mode", mode),) for mode in (None, "trunc", "floor")]
    return [()]


def operands_of(target, dtypes):
    """Inputs and arguments: all dtypes, with and without dims, numbers on either side, a tensor with itself."""
    count = sum(not a.kwarg_only and a.name != "alpha" for a in target._schema.arguments)
    ranks = list(itertools.product((True, False), repeat=2))
    if count == 1:
        yield from ((((x, dims),), (X,)) for x, dims in itertools.product(dtypes, (True, False)))
        return
    if target is WHERE:
        for x, y, (dims, others) in itertools.product(dtypes, dtypes, ranks):
            yield ((torch.bool, True), (x, dims), (y, others)), (X, Y, Z)
        return
    for x, number in itertools.product(dtypes, NUMBERS):
        yield from ((((x, True),), args) for args in ((X, number), (number, X), (X, X)))
    for x, y in itertools.product(dtypes, dtypes):
        mixed = ranks if x.is_floating_point and y.is_floating_point else ranks[:1]
        yield from ((((x, dims), (y, others)), (X, Y)) for dims, others in mixed)


def through_inductor(target, inputs, args, options, dtype):
    try:
        found = inductor.template(target, inputs, args, options, dtype)
    except Unsupported as error:
        return error
    if target is torch.ops.aten.reciprocal.default:  # the 1 is an integer in torch 2.11
        return Template(found.lines, found.result.replace("1 /", "1.0 /"))
    if target is torch.ops.aten.relu.default and dtype in (torch.int8, torch.int16, torch.uint8):
        zero = f"tl.full([], 0, {TRITON_DTYPES[dtype]})"  # Inductor's result is an int32, which its stores narrow
        return Template(found.lines, found.result.replace("maximum(0,", f"maximum({zero},"))
    return found


def compare(target, dtypes):
    compared = 0
    for options, (inputs, args) in itertools.product(options_of(target), operands_of(target, dtypes)):
        try:
            dtype = result_dtype(target, inputs, args, options)
        except (RuntimeError, TypeError, ValueError):
            continue  # torch has no such form
        ours = ordinary.template(target, inputs, args, options, dtype)
        if ours is not None:
            assert ours == through_inductor(target, inputs, args, options, dtype), (inputs, args, options)
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("target", ordinary.covered(), ids=str)
def test_texts_are_those_of_inductor(target):
    compare(target, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("target", ordinary.covered(), ids=str)
def test_texts_are_those_of_inductor_for_all_dtypes(target):
    compare(target, DTYPES)


@pytest.mark.parametrize("target", ordinary.covered(), ids=str)
def test_inductor_has_a_body_of_all(target):
    assert inductor.lowers(target) and torch.Tag.pointwise in target.tags


def test_dtypes_that_need_care_are_declined():
    add = torch.ops.aten.add.Tensor
    assert ordinary.template(add, ((torch.uint16, True),) * 2, (X, Y), (), torch.uint16) is None
    assert ordinary.template(add, ((torch.float8_e5m2, True),) * 2, (X, Y), (), torch.float8_e5m2) is None
    assert ordinary.template(add, ((torch.bool, True),), (X, True), (), torch.bool) is None
