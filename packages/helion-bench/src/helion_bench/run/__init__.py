"""A run: which cases on which backends, each in a process that it may crash, cell by cell.

Enters: a request of the command line. Leaves: a `Run`, also where it is interrupted.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from ..backends.catalogue import backends
from ..cases import catalogue
from ..command.runner import OpListing
from ..results.model import Backend, Cell, Run
from .isolated import Isolated
from .plan import Plan, listed, plan

__all__ = ["Plan", "list_backends", "list_ops", "plan", "run"]


def run(plan: Plan, on_cell: Callable[[Cell], None], resume_from: Run | None = None) -> Run:
    """Measure; `on_cell` is told of each new cell at once, in this thread.

    Cells of `resume_from` are taken over. KeyboardInterrupt and a spent time budget end the run; the result then has
    `complete` False and holds what was measured.
    """
    begin = time.monotonic()
    taken = dict(resume_from.by_key) if resume_from is not None else {}
    cells = dict(taken)
    seconds = plan.options.seconds
    complete = False
    deadline = None if seconds is None else begin + seconds
    try:
        with Isolated(plan.backends, plan.options, plan.device, taken.keys(), deadline) as runner:
            for cell in runner.cells(catalogue.quick_first(plan.cases)):
                cells[cell.key] = cell
                on_cell(cell)
            complete = not runner.out_of_time
    except KeyboardInterrupt:
        pass
    order = {key: k for k, key in enumerate((case, backend.name) for case in plan.cases for backend in plan.backends)}
    ordered = sorted((c for c in cells.values() if c.key in order), key=lambda c: order[c.key])
    return dataclasses.replace(
        plan.run, cells=tuple(ordered), seconds=round(time.monotonic() - begin, 1), complete=complete
    )


def list_ops() -> Sequence[OpListing]:
    """Every operation there is, of plug-ins too."""
    return [_listing(name) for name in catalogue.REGISTRY.names()]


def list_backends(device: str, tritonbench: str | None = None) -> Sequence[Backend]:
    """Every backend there is, with why it cannot run here."""
    return listed(backends(["all"]), device)


def _listing(name: str) -> OpListing:
    one = catalogue.operation(name)
    text = (type(one).__doc__ or "").strip().splitlines()[0] if type(one).__doc__ else ""
    return OpListing(name, tuple(s.label for s in one.shapes if not s.cpu), one.dtypes, one.passes, text)
