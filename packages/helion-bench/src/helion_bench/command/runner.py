"""What the command line asks of the package that measures, `helion_bench.run`; nothing of it is imported before use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from helion_bench.request import OpListing, Request
from helion_bench.results.model import Backend, Cell, Run


class Plan(Protocol):
    """The cases and backends of a request, found and checked, nothing measured yet."""

    run: Run
    """Without cells: id, date, machine, software, backends. It is what partial results are stored under."""
    size: int
    """How many cells there will be: cases × backends."""


class Runner(Protocol):
    """The module `helion_bench.run`."""

    def plan(self, request: Request) -> Plan:
        """Raises InvalidRequest, listing what there is, for a name that does not exist."""
        ...

    def run(self, plan: Plan, on_cell: Callable[[Cell], None], resume_from: Run | None = None) -> Run:
        """Measure; `on_cell` is told of each cell at once, in this process and thread.

        Cells of `resume_from` are taken over, not measured again, and not told of. Whatever a backend does costs its
        own cells only. KeyboardInterrupt and a spent time budget end the run; the result then has `complete` False and
        holds what was measured, and `out_of_time` where it was the budget.
        """
        ...

    def list_ops(self) -> Sequence[OpListing]:
        """Every operation there is, of plug-ins too."""
        ...

    def list_backends(self, device: str, tritonbench: str | None = None) -> Sequence[Backend]:
        """Every backend there is, with `why_not` filled in for those that cannot run here.

        Raises InvalidRequest if `tritonbench` is no checkout.
        """
        ...


def load_runner() -> Runner:
    """`helion_bench.run`, which brings torch."""
    module: Any = importlib.import_module("helion_bench.run")
    return cast(Runner, module)
