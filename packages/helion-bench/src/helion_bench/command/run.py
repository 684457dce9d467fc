"""`helion-bench run`: plan, measure, keep, show, judge."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence

from rich.console import Console

from helion_bench.command.exits import INTERRUPTED, NEEDS_COMPARISON
from helion_bench.command.keeping import Keeper
from helion_bench.command.outputs import named_files
from helion_bench.command.progress import showing
from helion_bench.command.runner import Plan, Runner, load_runner
from helion_bench.command.stored import show, verdict
from helion_bench.errors import InvalidRequest
from helion_bench.request import Request
from helion_bench.results.compare import compare
from helion_bench.results.errors import ResultsError
from helion_bench.results.model import Cell, Run
from helion_bench.results.store import Store, check_writable


def run_command(arguments: argparse.Namespace, store: Store, argv: Sequence[str], runner: Runner | None = None) -> int:
    """Everything measured is in the store before anything is shown."""
    if not arguments.against and (idle := NEEDS_COMPARISON & set(arguments.fail_on)):
        raise InvalidRequest(f"--fail-on {','.join(sorted(idle))} compares: say with what, --against RUN")
    files = named_files(arguments)
    runner = runner or load_runner()
    plan = _plan(runner, arguments, argv)
    # before an hour of measuring, not after; and `last` is the run before this one
    old = store.find(arguments.against, plan.run.machine.gpu) if arguments.against else None
    for path in (store.path(plan.run), *files):
        check_writable(path)
    earlier = _to_resume(arguments, plan, store)
    keeper = Keeper(store, plan.run if earlier is None else earlier, _say)
    run = _measure(runner, plan, keeper, earlier)
    if not run.cells:
        return _nothing(arguments, run)
    path = keeper.keep(run)
    comparison = None if old is None else compare(old, run, arguments.min_effect)
    show(arguments, run, comparison, store)
    if keeper.failure is not None:
        raise keeper.failure
    _say(f"kept as {path}")
    if not run.complete:
        again = shlex.join(["helion-bench", *run.command[1:], "--resume"])
        _say(f"not finished: {len(run.cells)} of {plan.size} cells. To go on: {again}")
        if not run.out_of_time:
            return INTERRUPTED
    return verdict(arguments, run, comparison)


def _nothing(arguments: argparse.Namespace, run: Run) -> int:
    """An empty run is not kept: there is nothing to go on from, and `last` is to mean one that can be looked at."""
    if run.out_of_time:
        raise InvalidRequest(f"{arguments.seconds:g} seconds are over before anything is measured: give it more")
    _say("interrupted before anything was measured")
    return INTERRUPTED


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


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


def _measure(runner: Runner, plan: Plan, keeper: Keeper, earlier: Run | None) -> Run:
    """Run the plan; what is measured is kept on the way, whatever becomes of it."""
    begun = plan.run if earlier is None else earlier
    with showing(Console(stderr=True, highlight=False), plan.size, len(begun.cells)) as tell:

        def on_cell(cell: Cell) -> None:
            keeper.add(cell)
            tell(cell)

        try:
            run = runner.run(plan, on_cell, earlier)
        except BaseException:
            keeper.flush()
            raise
    return dataclasses.replace(run, id=begun.id, started=begun.started, seconds=begun.seconds + run.seconds)
