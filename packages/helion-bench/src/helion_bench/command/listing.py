"""`helion-bench list`: operations and backends there are, and what is stored."""

from __future__ import annotations

import argparse

from helion_bench.command.exits import OK
from helion_bench.command.runner import Runner, load_runner
from helion_bench.reports.figures import dtype_name
from helion_bench.reports.table import EMPTY, Table, Text, Tone
from helion_bench.reports.terminal import Fitted, console
from helion_bench.results.store import Store, Stored


def list_command(arguments: argparse.Namespace, store: Store) -> int:
    """Only `ops` and `backends` need torch."""
    wanted = arguments.what or ["ops", "backends", "runs"]
    tables = []
    if {"ops", "backends"} & set(wanted):
        runner = load_runner()
        tables += [_ops(runner)] if "ops" in wanted else []
        tables += [_backends(runner, arguments)] if "backends" in wanted else []
    if "runs" in wanted:
        tables += [_stored(store)]
    for table in tables:
        console().print(Fitted(table))
    return OK


def _ops(runner: Runner) -> Table:
    rows = [
        [
            Text(op.name, Tone.STRONG),
            Text(" ".join(op.passes)),
            Text(" ".join(map(dtype_name, op.dtypes))),
            Text(" ".join(op.shapes)),
        ]
        for op in runner.list_ops()
    ]
    return Table.of("operations", ["op", "passes", "dtypes", "shapes"], rows, labels=4)


def _backends(runner: Runner, arguments: argparse.Namespace) -> Table:
    rows = [
        [
            Text(backend.name, Tone.STRONG),
            Text(backend.role.value),
            Text(backend.version) if backend.version else EMPTY,
            Text(backend.why_not, Tone.BAD) if backend.why_not else Text("yes", Tone.GOOD),
            Text(backend.description),
        ]
        for backend in runner.list_backends(arguments.device, arguments.tritonbench)
    ]
    headers = ["backend", "role", "version", "here", "what"]
    return Table.of(f"backends (--device {arguments.device})", headers, rows, labels=5)


def _stored(store: Store) -> Table:
    stored = [*store.baselines(), *store.runs()]
    rows = [_stored_row(one) for one in stored]
    title = f"stored in {store.root}" if rows else f"nothing is stored in {store.root}"
    return Table.of(title, ["name", "gpu", "date", "cells", "commit", "state"], rows, labels=6)


def _stored_row(stored: Stored) -> list[Text]:
    run = stored.run
    name, gpu = Text(stored.path.stem, Tone.STRONG), Text(stored.path.parts[-3])
    if run is None:
        return [name, gpu, EMPTY, EMPTY, EMPTY, Text(f"unreadable: {stored.broken}", Tone.BAD)]
    kind = f"baseline of {run.id}" if stored.path.parent.name == "baselines" else "run"
    state = Text(kind if run.complete else f"{kind}, unfinished", Tone.PLAIN if run.complete else Tone.DIM)
    date = Text(run.started[:16].replace("T", " "))
    return [name, gpu, date, Text(str(len(run.cells))), Text(run.software.commit[:10] or "–"), state]
