"""A run as tables: one an operation, a summary, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from helion_bench.reports import figures
from helion_bench.reports.metrics import DEFAULT, METRICS, show_accuracy, show_factor, show_speedup, show_status
from helion_bench.reports.table import EMPTY, Table, Text, Tone
from helion_bench.results.derived import host_bound, timed
from helion_bench.results.model import CaseKey, Cell, CompileFacts, Role, Run, Status
from helion_bench.results.speedup import Speedup, failures, speedup_of, speedups, summarise

Metrics = Sequence[str]
_BEST_NAMED = 4  # best peers of a row, so that it stays a line


def op_tables(run: Run, metrics: Metrics = DEFAULT) -> Iterator[Table]:
    """One table an operation; its rows are cases."""
    any_times = any(cell.latency for cell in run.cells)
    for op in dict.fromkeys(case.op for case in run.cases):
        cases = [case for case in run.cases if case.op == op]
        yield _timed_table(run, op, cases, metrics) if any_times else _untimed_table(run, op, cases)


def _labels(case: CaseKey) -> list[Text]:
    return [Text(case.shape), Text(figures.dtype_name(case.dtype)), Text(case.pass_)]


def _timed_table(run: Run, op: str, cases: list[CaseKey], metrics: Metrics) -> Table:
    """Figures of the first backend of ours, and how many times as fast it is as every other backend."""
    headline, others = headline_of(run), others_of(run)
    shown = [METRICS[name] for name in metrics if METRICS[name].header]
    speedup = "speedup" in metrics
    headers = [
        "shape",
        "dtype",
        "pass",
        *(f"{headline} {m.header}" if m.name == "latency" else m.header for m in shown),
    ]
    headers += ["best peer", "vs best", *(f"vs {name}" for name in others)] if speedup else []
    by_case = {found.case: found for found in speedups(run, headline)}
    cells = run.by_key
    rows = []
    for case in cases:
        ours = cells.get((case, headline))
        row = [*_labels(case), *(m.show(ours, run) if ours else EMPTY for m in shown)]
        if speedup:
            row += _speedup_texts(by_case.get(case), ours, [cells.get((case, name)) for name in others], others)
        rows.append(row)
    return Table.of(op, headers, rows, labels=3)


def _speedup_texts(
    found: Speedup | None, ours: Cell | None, cells: list[Cell | None], names: Sequence[str]
) -> list[Text]:
    best = [EMPTY, EMPTY] if found is None else [Text(found.best), show_speedup(found, found.best, None)]
    return best + [_against(found, ours, cell, name) for cell, name in zip(cells, names, strict=True)]


def _against(found: Speedup | None, ours: Cell | None, cell: Cell | None, name: str) -> Text:
    """Against a peer, or against another backend of ours, which `found` does not hold."""
    if cell is None or ours is None or not (timed(cell) and timed(ours)) or (found and name in found.against):
        return show_speedup(found, name, cell)
    assert cell.latency is not None and ours.latency is not None
    bound = frozenset({name} if host_bound(ours) or host_bound(cell) else ())
    other = Speedup(cell.case, ours.backend, {name: speedup_of(ours.latency, cell.latency)}, name, bound)
    return show_speedup(other, name, cell)


def _untimed_table(run: Run, op: str, cases: list[CaseKey]) -> Table:
    """Without times: whether each backend is right, and what the compiler says for each target."""
    names = [backend.name for backend in run.backends if not backend.why_not]
    targets = list(dict.fromkeys(fact.target for cell in run.cells for fact in cell.facts))
    cells = run.by_key
    rows = []
    for case in cases:
        here = {name: cells.get((case, name)) for name in names}
        facts = [fact for cell in here.values() if cell for fact in cell.facts]
        rows.append(
            [
                *_labels(case),
                *(_checked(cell) for cell in here.values()),
                *(_facts([fact for fact in facts if fact.target == target]) for target in targets),
            ]
        )
    return Table.of(op, ["shape", "dtype", "pass", *names, *targets], rows, labels=3)


def _checked(cell: Cell | None) -> Text:
    if cell is None:
        return EMPTY
    return show_accuracy(cell) if cell.accuracy else show_status(cell)


def _facts(facts: list[CompileFacts]) -> Text:
    """Registers of each kernel, spills of all, the most shared memory of one."""
    if not facts:
        return EMPTY
    if any(fact.error for fact in facts):
        return Text("does not compile", Tone.BAD)
    spills = sum(fact.spills or 0 for fact in facts)
    registers = [str(fact.registers) for fact in facts if fact.registers is not None]
    shared = [fact.shared_bytes for fact in facts if fact.shared_bytes is not None]
    parts = [f"{'/'.join(registers)} regs"] if registers else []
    parts += [f"{spills} spills"] if spills else []
    parts += [f"{figures.size(max(shared))} shared"] if shared and max(shared) else []
    return Text(", ".join(parts) or "compiles", Tone.BAD if spills else Tone.PLAIN)


def headline_of(run: Run) -> str:
    """The backend that tables are about: the first of ours that has cells."""
    tried = {cell.backend for cell in run.cells}
    ours = [name for name in run.names(Role.OURS) if name in tried]
    return ours[0] if ours else next(iter(run.names(Role.OURS)), "")


def others_of(run: Run) -> tuple[str, ...]:
    """Peers first, then the other backends of ours; those that are not here are left out."""
    headline = headline_of(run)
    here = [backend for backend in run.backends if not backend.why_not and backend.name != headline]
    return tuple(b.name for role in (Role.PEER, Role.OURS) for b in here if b.role is role)


def summary_table(run: Run) -> Table | None:
    """By operation and pass, and over all: geometric means of speed-ups over the best peer and over each, outcomes.

    `best peers`: which of them was the best in how many cases.
    """
    found = speedups(run, headline_of(run))
    if not found:
        return None
    peers = [name for name in run.names(Role.PEER) if any(name in speedup.against for speedup in found)]
    rows = [
        _summary_row(op, pass_, [s for s in found if (s.case.op, s.case.pass_) == (op, pass_)], peers)
        for op, pass_ in dict.fromkeys((s.case.op, s.case.pass_) for s in found)
    ]
    passes = list(dict.fromkeys(s.case.pass_ for s in found))
    if len(rows) > len(passes):
        rows += [_summary_row("all", pass_, [s for s in found if s.case.pass_ == pass_], peers) for pass_ in passes]
    if len(rows) > 1 and len(passes) > 1:
        rows.append(_summary_row("all", "all", found, peers))
    headers = ["op", "pass", "cases", "vs best peer", "95 %", "wins", "ties", "losses"]
    headers += [*(f"vs {name}" for name in peers), "best peers"]
    return Table.of(f"{headline_of(run)} against its peers (geometric means)", headers, rows, labels=2)


def _summary_row(op: str, pass_: str, cases: Sequence[Speedup], peers: Sequence[str]) -> list[Text]:
    found = summarise(cases)
    assert found is not None
    mean = found.mean
    spread = Text(f"{mean.low:.2f}–{mean.high:.2f}", Tone.DIM) if mean.known else EMPTY
    counts = [Text(str(count)) for count in (found.wins, found.ties, found.losses)]
    against = [
        show_factor(found.against[name], name in found.host_bound) if name in found.against else EMPTY for name in peers
    ]
    over_best = show_factor(mean, found.best_host_bound)
    return [
        Text(op, Tone.STRONG), Text(pass_), Text(str(found.count)), over_best, spread, *counts, *against,
        Text(_best(cases)),
    ]  # fmt: skip


def _best(cases: Sequence[Speedup]) -> str:
    """The best peers, and of how many cases where they share them; the rarest of many together."""
    counts = Counter(speedup.best for speedup in cases).most_common()
    if len(counts) == 1:
        return counts[0][0]
    named = counts if len(counts) <= _BEST_NAMED else counts[: _BEST_NAMED - 1]
    others = sum(count for _, count in counts[len(named) :])
    return ", ".join([*(f"{name} {count}" for name, count in named), *([f"others {others}"] if others else [])])


def problem_table(run: Run) -> Table | None:
    """Every cell that was tried and did not come out right, with its reason."""
    bad = failures(run, (Role.OURS, Role.PEER))
    rows = [
        [Text(cell.case.id), Text(cell.backend), Text(cell.status.value, Tone.BAD), Text(_one_line(cell.reason))]
        for cell in bad
    ]
    return Table.of("what went wrong", ["case", "backend", "status", "reason"], rows, labels=4) if rows else None


def _one_line(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= 200 else text[:199] + "…"


def headlines(run: Run, metrics: Metrics = DEFAULT) -> list[str]:
    """Lines that say where and when, and what is not there, also of `metrics`."""
    software = run.software
    commit = f", commit {software.commit[:10]}{' with changes' if software.dirty else ''}" if software.commit else ""
    lines = [f"{machine_line(run)}; {versions(run)}{commit}; {run.started[:16].replace('T', ' ')} UTC"]
    if not run.complete:
        lines.append(f"{'out of time' if run.out_of_time else 'interrupted'}: not every case was measured")
    lines += [f"{backend.name} is not here: {backend.why_not}" for backend in run.backends if backend.why_not]
    lines += [*run.notes, *_unmeasured(run, metrics)]
    return lines + host_bound_lines(run) + beside_torch_lines(run) + _skipped(run) + _spent(run)


def _unmeasured(run: Run, metrics: Metrics) -> list[str]:
    """Metrics that are measured only where a run is asked for them, and were not."""
    shown = [METRICS[name] for name in metrics if name not in DEFAULT]
    empty = [metric.name for metric in shown if all(metric.show(cell, run) == EMPTY for cell in run.cells)]
    return [f"not measured in this run: {', '.join(empty)}"] if empty else []


def versions(run: Run) -> str:
    """Of helion, torch and Triton."""
    software = run.software
    named = (("helion", software.helion), ("torch", software.torch), ("Triton", software.triton))
    return ", ".join(f"{name} {version}" for name, version in named if version)


def host_bound_lines(run: Run) -> list[str]:
    """Which times are not the GPU's alone."""
    counts = Counter((cell.case.op, cell.backend) for cell in run.cells if timed(cell) and host_bound(cell))
    named = ", ".join(f"{op} of {backend} ({count})" for (op, backend), count in counts.items())
    return [f"* host-bound, the GPU waited for the host within these calls: {named}"] if named else []


def beside_torch_lines(run: Run) -> list[str]:
    """Which results are right by what torch computes, not by the tolerance (see `helion_bench.cases.verdict`)."""
    beyond = [
        cell for cell in run.cells
        if (a := cell.accuracy) is not None and a.ok and a.max_rel is not None and a.max_rel > a.tolerance_rel
    ]  # fmt: skip
    counts = Counter((cell.case.op, cell.case.pass_) for cell in beyond)
    named = ", ".join(f"{op} {pass_} ({count})" for (op, pass_), count in counts.items())
    return [f"beyond the tolerance, as torch's own result in the same dtype is, and right: {named}"] if named else []


def _skipped(run: Run) -> list[str]:
    """What ours, or nobody, did not try, by reason: a table shows only that nothing is there."""
    ours = set(run.names(Role.OURS))
    skipped = [cell for cell in run.cells if cell.status is Status.SKIPPED]
    counts = Counter((cell.backend, _one_line(cell.reason)) for cell in skipped if cell.backend in ours)
    tried = {cell.case.op for cell in run.cells if cell.status is not Status.SKIPPED or cell.backend in ours}
    left_out = {cell.case.op: _one_line(cell.reason) for cell in skipped if cell.case.op not in tried}
    return [
        *(
            f"{backend} did not try {n} case{'' if n == 1 else 's'}: {reason}"
            for (backend, reason), n in counts.items()
        ),
        *(f"{op} was left out: {reason}" for op, reason in left_out.items()),
    ]


def _spent(run: Run) -> list[str]:
    """Where the seconds of measuring went."""
    total: dict[str, float] = {}
    for cell in run.cells:
        for step, seconds in cell.spent:
            total[step] = total.get(step, 0.0) + seconds
    steps = ", ".join(f"{step} {total[step]:.0f}" for step in sorted(total, key=lambda step: -total[step]))
    return [f"took {run.seconds:.0f} s; seconds of all processes by step: {steps}"] if steps else []


def machine_line(run: Run) -> str:
    """The device, its clocks, power limit and driver."""
    gpu = run.machine.gpu
    if gpu == "cpu":
        return f"no GPU ({run.machine.cpu or 'unknown CPU'}): results are checked, nothing is timed"
    parts = [gpu, *_clocks(run)]
    if run.machine.power_limit_watts:
        parts.append(f"{run.machine.power_limit_watts:.0f} W")
    if run.machine.driver:
        parts.append(f"driver {run.machine.driver}")
    return ", ".join(parts)


def _clocks(run: Run) -> list[str]:
    """The highest clock, and those at which cases were measured; not that of a GPU which waits for work."""
    seen = [cell.latency.sm_mhz for cell in run.cells if cell.latency and cell.latency.sm_mhz]
    limit = f"up to {run.machine.sm_clock_max_mhz} MHz" if run.machine.sm_clock_max_mhz else ""
    if not seen:
        return [limit] if limit else []
    low, high = round(min(seen)), round(max(seen))
    measured = f"{low} MHz" if low == high else f"{low} to {high} MHz"
    return [f"measured at {measured}{f' of {limit}' if limit else ''}"]
