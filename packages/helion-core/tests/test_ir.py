"""The intermediate representation: how it prints, what the verifier refuses, what is dropped as dead."""

import pytest
import torch

import helion
import helion.language as hl
from helion import ir
from helion.ir import Block, Dim, Value


@helion.kernel(use_default_config=True)
def showcase(x, weight, y, n, scale):
    out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype)
    counts = torch.empty([x.size(0)], dtype=torch.int32)
    for tile_m, tile_n in hl.tile(out.size()):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(x.size(1)):
            left = x[tile_m, tile_k]
            acc = torch.addmm(acc, left.to(torch.bfloat16), y[tile_k, tile_n])
        row = weight[tile_m, None] * scale
        torch.exp(row)
        for i in hl.grid(n):
            acc = acc + weight[i]
        out[tile_m, tile_n] = torch.clamp(acc, min=0) - row
        counts[tile_m] = (acc > 0).sum(1).to(torch.int32)
    return out, counts


def arguments():
    return torch.randn(40, 30), torch.randn(40), torch.randn(30, 50).bfloat16(), 3, 2.0


def test_printed_program(golden):
    golden("showcase.txt", str(showcase.bind(arguments()).program))


def test_dead_operations_are_dropped():
    program = showcase.bind(arguments()).program
    assert not any("exp" in op.name for op in program.ops())


def test_traced_programs_are_sound():
    ir.verify(showcase.bind(arguments()).program)


# --- the verifier ---------------------------------------------------------------------------------------------------


def value(block, hint="v", dtype=torch.float32):
    return Value((Dim(16),), dtype, hint, block)


def full(block, dtype=torch.float32):
    op = ir.Full(fill=0, results=(value(block, dtype=dtype),))
    block.ops.append(op)
    return op.result


def program(block):
    phase = ir.Phase((), block, 0, None)
    return ir.Program("made", [phase], [], [], [], {})


def loop(outer, init):
    body = Block(parent=outer)
    body.params.append(value(body))
    body.yields.append(body.params[0])
    r = ir.Range("tile", 0, 64, 16, 0)
    return ir.For(range=r, body=body, number=0, inputs=(init,), results=(value(outer),))


def test_values_of_an_outer_block_are_visible():
    outer = Block()
    init = full(outer)
    op = loop(outer, init)
    outer.ops.append(op)
    sum_ = ir.Cast(inputs=(init,), results=(value(op.body),))
    op.body.ops.append(sum_)
    op.body.yields[:] = [sum_.result]
    ir.verify(program(outer))


def test_a_value_used_before_it_is_defined():
    block = Block()
    late = value(block)
    block.ops.append(ir.Cast(inputs=(late,), results=(value(block),)))
    block.ops.append(ir.Full(fill=0, results=(late,)))
    with pytest.raises(AssertionError, match="does not dominate"):
        ir.verify(program(block))


def test_a_value_of_a_loop_body_used_behind_the_loop():
    outer = Block()
    op = loop(outer, full(outer))
    inner = full(op.body)
    outer.ops += [op, ir.Cast(inputs=(inner,), results=(value(outer),))]
    with pytest.raises(AssertionError, match="does not dominate"):
        ir.verify(program(outer))


def test_a_yield_that_is_not_visible():
    outer = Block()
    op = loop(outer, full(outer))
    op.body.yields[:] = [value(None)]
    outer.ops.append(op)
    with pytest.raises(AssertionError, match="yields a value that is not visible"):
        ir.verify(program(outer))


def test_a_carried_value_that_changes_its_type():
    outer = Block()
    op = loop(outer, full(outer, torch.float16))
    outer.ops.append(op)
    with pytest.raises(AssertionError, match="changes its type"):
        ir.verify(program(outer))


def test_a_loop_that_carries_more_than_it_starts_with():
    outer = Block()
    op = loop(outer, full(outer))
    op.body.yields.append(op.body.params[0])
    outer.ops.append(op)
    with pytest.raises((AssertionError, ValueError)):
        ir.verify(program(outer))


def test_effects_keep_loops_alive():
    outer = Block()
    op = loop(outer, full(outer))
    outer.ops.append(op)
    made = program(outer)
    ir.remove_dead(made)
    assert not outer.ops
