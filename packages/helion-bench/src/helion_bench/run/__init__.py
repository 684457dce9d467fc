"""A run: which cases on which backends, each in a process that it may crash, cell by cell.

Enters: a request of the command line. Leaves: a `Run`, also where it is interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Mapping, Sequence

import torch

from ..backends.catalogue import backends
from ..cases import catalogue
from ..cases.operation import Operation
from ..measure.alone import alone
from ..measure.machine import commit, gpu_uuid
from ..request import OpListing
from ..results.model import Backend, CaseKey, Cell, Role, Run
from ..tritonbench import checkout
from ..tritonbench.driven import Driven
from ..tritonbench.driven import backends as driven_backends
from .isolated import Isolated
from .plan import Plan, listed, plan

__all__ = ["Plan", "list_backends", "list_ops", "plan", "run"]


def run(plan: Plan, on_cell: Callable[[Cell], None], resume_from: Run | None = None) -> Run:
    """Measure; `on_cell` is told of each new cell at once, in this thread.

    Cells of `resume_from` are taken over. KeyboardInterrupt and a spent time budget end the run; the result then has
    `complete` False and holds what was measured, and `out_of_time` tells which of the two it was. Raises InvalidRequest
    where another run measures on the GPU.
    """
    begin = time.monotonic()
    deadline = None if plan.options.seconds is None else begin + plan.options.seconds
    cells = dict(resume_from.by_key) if resume_from is not None else {}
    complete = out_of_time = False
    try:
        with _alone(plan), contextlib.closing(_cells(plan, list(cells), deadline)) as measuring:
            for cell in measuring:
                if cell is None:
                    out_of_time = True
                    break
                cells[cell.key] = cell
                on_cell(cell)
            else:
                complete = True
    except KeyboardInterrupt:
        pass
    run = _result(plan, cells)
    seconds = round(time.monotonic() - begin, 1)
    return dataclasses.replace(run, seconds=seconds, complete=complete, out_of_time=out_of_time)


def _alone(plan: Plan) -> contextlib.AbstractContextManager[None]:
    """Without a GPU nothing is timed, and runs may meet."""
    return alone(gpu_uuid() or "0") if plan.device == "cuda" else contextlib.nullcontext()


def _cells(
    plan: Plan, done: Sequence[tuple[CaseKey, str]], deadline: float | None
) -> Generator[Cell | None, None, None]:
    """All cells but those that are done; None at last where time ran out."""
    with Isolated(plan.backends, plan.options, plan.device, done, deadline) as isolated:
        yield from isolated.cells(catalogue.by_need(plan.cases))
    out_of_time = isolated.out_of_time
    if plan.tritonbench is not None and not out_of_time:
        driven = Driven(plan.tritonbench, plan.adapters, plan.options, done, deadline)
        yield from driven.cells()
        out_of_time = driven.out_of_time
    if out_of_time:
        yield None


def _result(plan: Plan, cells: Mapping[tuple[CaseKey, str], Cell]) -> Run:
    """The run with its cells in the order of the plan, those of tritonbench behind them."""
    order = {key: k for k, key in enumerate((case, backend.name) for case in plan.cases for backend in plan.backends)}
    theirs = [cell for cell in cells.values() if cell.case.op.startswith("tritonbench.")]
    ordered = sorted((cell for cell in cells.values() if cell.key in order), key=lambda cell: order[cell.key])
    known = {backend.name for backend in plan.run.backends}
    version = commit(plan.tritonbench) if plan.tritonbench is not None else ""
    added = [backend for backend in driven_backends(theirs, version) if backend.name not in known]
    return dataclasses.replace(
        plan.run,
        cells=(*ordered, *theirs),
        backends=tuple(sorted((*plan.run.backends, *added), key=lambda backend: backend.role is not Role.OURS)),
    )


def list_ops() -> Sequence[OpListing]:
    """Every operation there is, of plug-ins too."""
    return [_listing(one) for one in catalogue.operations()]


def list_backends(device: str, tritonbench: str | None = None) -> Sequence[Backend]:
    """Every backend there is, with why it cannot run here."""
    missing = checkout.why_not(tritonbench) or ""
    there = Backend("tritonbench", Role.PEER, "", "operators of tritonbench, with their own inputs", missing)
    found = [*listed(backends(["all"]), device), there]
    if device == "cpu" or torch.cuda.is_available():
        return found
    return [dataclasses.replace(b, why_not=b.why_not or "there is no GPU here") for b in found]


def _listing(one: Operation) -> OpListing:
    text = (type(one).__doc__ or "").strip().splitlines()[0] if type(one).__doc__ else ""
    return OpListing(one.name, tuple(s.label for s in one.shapes if not s.cpu), one.dtypes, one.passes, text)
