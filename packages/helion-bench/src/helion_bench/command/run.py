"""`helion-bench run`: plan, measure, keep, show, judge."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from helion_bench.command.exits import INTERRUPTED, NEEDS_COMPARISON
from helion_bench.command.outputs import named_files
from helion_bench.command.progress import showing
from helion_bench.command.runner import Plan, Runner, load_runner
from helion_bench.command.stored import against, show, verdict
from helion_bench.errors import InvalidRequest
from helion_bench.request import Request
from helion_bench.results.errors import ResultsError
from helion_bench.results.model import Cell, Run
from helion_bench.results.store import Store, check_writable

_KEEP_EVERY = 2.0  # seconds between writes of what is measured so far


def run_command(arguments: argparse.Namespace, store: Store, argv: Sequence[str], runner: Runner | None = None) -> int:
    """Everything measured is in the store before anything is shown."""
    if not arguments.against and (idle := NEEDS_COMPARISON & set(arguments.fail_on)):
        raise InvalidRequest(f"--fail-on {','.join(sorted(idle))} compares: say with what, --against RUN")
    runner = runner or load_runner()
    plan = _plan(runner, arguments, argv)
    if arguments.against:
        store.find(arguments.against, plan.run.machine.gpu)  # raises before an hour of measuring, not after
    for path in (store.path(plan.run), *named_files(arguments)):
        check_writable(path)
    run = _measure(runner, plan, store, _to_resume(arguments, plan, store))
    path = store.put(run)
    comparison = against(arguments, run, store)
    show(arguments, run, comparison, store)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    messages.print(f"kept as {escape(str(path))}")
    if not run.complete:
        again = shlex.join(["helion-bench", *run.command[1:], "--resume"])
        messages.print(f"[bold]not finished[/]: {len(run.cells)} of {plan.size} cells. To go on: {escape(again)}")
        if not run.out_of_time:
            return INTERRUPTED
    return verdict(arguments, run, comparison)


def _plan(runner: Runner, arguments: argparse.Namespace, argv: Sequence[str]) -> Plan:
    request = Request(
        ops=tuple(arguments.ops),
        shapes=arguments.shapes,
        dtypes=arguments.dtypes,
        passes=arguments.passes,
        backends=arguments.backends,
        metrics=arguments.metrics,
        device=arguments.device,
        quick=arguments.quick,
        seconds=arguments.seconds,
        tritonbench=arguments.tritonbench,
        command=("helion-bench", *(word for word in argv if word != "--resume")),
    )
    plan = runner.plan(request)
    if not plan.size:
        raise InvalidRequest("the request leaves nothing to run: `helion-bench list` shows what there is")
    return plan


def _to_resume(arguments: argparse.Namespace, plan: Plan, store: Store) -> Run | None:
    """The last unfinished run of the same command on the same GPU."""
    if not arguments.resume:
        return None
    machine = plan.run.machine.gpu
    unfinished = [s.run for s in store.runs() if s.run and not s.run.complete and s.run.machine.gpu == machine]
    same = [run for run in unfinished if run.command == plan.run.command]
    if not same:
        others = "; ".join(shlex.join(run.command) for run in unfinished[-3:])
        hint = f"; unfinished are: {others}" if others else ""
        raise ResultsError(f"no unfinished run of this command is stored in {store.root}{hint}")
    last = same[-1]
    was, now = dataclasses.asdict(last.software), dataclasses.asdict(plan.run.software)
    changed = ", ".join(f"{name} {was[name]} then, {now[name]} now" for name in was if was[name] != now[name])
    if changed:
        raise ResultsError(f"run {last.id} was made by other software ({changed}): start anew, without --resume")
    return last


def _measure(runner: Runner, plan: Plan, store: Store, earlier: Run | None) -> Run:
    """Run the plan; what is measured is written every few seconds, so that a killed process loses little."""
    begun = plan.run if earlier is None else earlier
    measured: dict[tuple[object, str], Cell] = {}
    kept = time.monotonic()
    with showing(Console(stderr=True, highlight=False), plan.size, len(begun.cells)) as tell:

        def on_cell(cell: Cell) -> None:
            nonlocal kept
            measured[cell.key] = cell
            tell(cell)
            if time.monotonic() - kept > _KEEP_EVERY:
                store.put(begun.with_cells(measured.values()))
                kept = time.monotonic()

        try:
            run = runner.run(plan, on_cell, earlier)
        except BaseException:
            store.put(begun.with_cells(measured.values()))
            raise
    return dataclasses.replace(run, id=begun.id, started=begun.started, seconds=begun.seconds + run.seconds)
