"""The program at the end of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy
import torch

from .. import exc, ir
from ..ir import HostScalar, HostTensor, Program
from ..lower.fuse import fuse_accumulators
from .settle import unify

if TYPE_CHECKING:
    from .tracer import Tracer


def program_of(tracer: Tracer) -> Program:
    """What was traced. Raises `NoDeviceLoop` where that is nothing."""
    if not tracer.phases:
        raise exc.NoDeviceLoop(name=tracer.name, location=tracer.defined)
    unify(tracer)
    result = Program(
        tracer.name,
        tracer.phases,
        _used_tensors(tracer),
        _used_scalars(tracer),
        tracer.blocks,
        dict(tracer.symbols),
        tracer.min_lanes,
    )
    fuse_accumulators(result)
    result.tunables.update(tracer.tunables)
    ir.remove_dead(result)
    ir.verify(result)
    return result


def _used_tensors(tracer: Tracer) -> list[HostTensor]:
    used = {op.tensor for phase in tracer.phases for op in phase.body.walk() if isinstance(op, ir.Access)}
    found = [tensor for tensor in tracer.tensors.values() if tensor in used]
    barriers = max((phase.stage for phase in tracer.phases), default=0)
    if barriers:
        source = f"_torch.zeros({barriers}, dtype=_torch.int32, device={found[0].source}.device)"
        found.append(HostTensor(ir.ARRIVALS, source, torch.int32, (barriers,), (1,), 0))
    return found


def _used_scalars(tracer: Tracer) -> list[HostScalar]:
    used: set[sympy.Symbol] = set()
    for phase in tracer.phases:
        sizes: list[Any] = [size for r in phase.ranges for size in (r.begin, r.end, r.width)]
        for op in phase.body.walk():
            sizes.extend(ir.sizes_of(op))
        for size in sizes:
            if isinstance(size, sympy.Basic):
                used |= size.free_symbols
    return [scalar for symbol, scalar in tracer.host_scalars.items() if symbol in used]
