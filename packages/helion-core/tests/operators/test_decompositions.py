"""Operators are taken apart as TorchInductor takes them apart, most of them without importing it."""

import pytest
import torch
from torch._decomp import core_aten_decompositions, decomposition_table
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.lowering import lowerings

from helion.trace.operators.decompositions import TAKEN_APART, decomposition
from helion.trace.operators.registry import HANDLERS

aten = torch.ops.aten
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
WRITTEN_HERE = {aten.clamp.default, aten.clamp.Tensor, aten.silu.default}
SAME = {aten.native_layer_norm.default}  # Inductor's calls torch's for every device that we know
WHOLE_TENSORS = (
    "upsample",
    "rnn_",
    "lstm",
    "gru",
    "pad_sequence",
    "max_pool",
    "put",
    "rand",
    "fft",
    "float_power_",
    "sym_",
)


def through_inductor():
    """Per operator that may meet tiles what Inductor would call; None where it is composed of others."""
    core, inductors = core_aten_decompositions(), select_decomp_table()
    for func in {*decomposition_table, *core, *inductors}:
        if getattr(func, "namespace", "") != "aten" or func._schema.is_mutable:
            continue
        torchs = decomposition_table.get(func)
        found = inductors.get(func) or core.get(func) or torchs
        if any(word in func._schema.name for word in WHOLE_TENSORS) or "imname" in func._overloadname:
            continue
        if func not in HANDLERS and func not in WRITTEN_HERE | SAME:
            yield func, None if found is not torchs and func.has_kernel_for_dispatch_key(COMPOSITE) else found


def test_operators_are_taken_apart_as_by_inductor():
    assert {str(func) for func, found in through_inductor() if decomposition(func) is not found} == set()


@pytest.mark.parametrize("name", sorted(TAKEN_APART))
def test_inductor_has_no_body_of_what_is_taken_apart(name):
    packet = getattr(aten, name)
    assert not [o for o in packet.overloads() if getattr(packet, o) in lowerings]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int32], ids=str)
def test_clamp_and_silu_give_what_inductors_do(dtype):
    theirs = select_decomp_table()
    x = torch.linspace(-30, 30, 241).to(dtype)
    for bounds in ((-1, 2), (None, 0.5), (3, -3), (-0.5, None)):
        clamped, wanted = (
            clamp(x, *bounds) for clamp in (decomposition(aten.clamp.default), theirs[aten.clamp.default])
        )
        assert clamped.dtype == wanted.dtype and torch.equal(clamped, wanted)
    if dtype.is_floating_point:
        assert torch.equal(decomposition(aten.silu.default)(x), theirs[aten.silu.default](x))
