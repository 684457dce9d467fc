"""Two stored runs compared: what became slower or faster, what vanished, what is new.

Only backends of ours are judged. The peers of both runs are the control: their code did not change, so what changed
in their times is the machine's drift (see `helion_bench.statistics.drift`), and a change of ours that the peers of the
same case share is none (`helion_bench.statistics.controls`). A peer whose version differs between the runs is no
control.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from helion_bench.results.derived import host_bound, median_us, round_medians, round_quotients, timed
from helion_bench.results.model import CaseKey, Cell, CompileFacts, Role, Run, Status
from helion_bench.statistics.controls import Quotients
from helion_bench.statistics.drift import Drift, estimate_drift
from helion_bench.statistics.interval import Interval
from helion_bench.statistics.ranks import ratio_of
from helion_bench.statistics.verdict import MINIMUM_EFFECT, Judged, Pair, Verdict, judge

_CLOCKS = 0.02  # by which the clocks of two runs differ without being told of

Key = tuple[CaseKey, str]
Cells = Mapping[Key, Cell]


@dataclass(frozen=True)
class Change:
    """One cell of ours in two runs. `ratio` is new / old time freed of the drift, `p` adjusted for all cells.

    `broken`: it was right and is now wrong, raises or hangs. `vanished`: it was right and is no longer tried.
    """

    case: CaseKey
    backend: str
    verdict: Verdict
    reason: str
    old_us: float | None = None
    new_us: float | None = None
    ratio: Interval | None = None
    p: float | None = None
    broken: bool = False
    vanished: bool = False


@dataclass(frozen=True)
class Comparison:
    """All changes, in the order of the new run and then what vanished; `notes` say what else differs."""

    old: Run
    new: Run
    changes: tuple[Change, ...]
    drift: Drift
    minimum_effect: float
    notes: tuple[str, ...] = ()

    def count(self, verdict: Verdict) -> int:
        return sum(change.verdict is verdict for change in self.changes)


def compare(old: Run, new: Run, minimum_effect: float = MINIMUM_EFFECT) -> Comparison:
    """Judge every cell of ours that was tried in either run."""
    before, after, peers = old.by_key, new.by_key, _unchanged(old, new)
    drift = estimate_drift(_controls(peers, before, after))
    ours = {*old.names(Role.OURS), *new.names(Role.OURS)}
    either = [key for key in dict.fromkeys([*after, *before]) if key[1] in ours]
    keys = [key for key in either if _tried(before.get(key)) or _tried(after.get(key))]
    same_gpu = old.machine.gpu == new.machine.gpu
    testable = [k for k in keys if same_gpu and _comparable(before.get(k)) and _comparable(after.get(k))]
    pairs = [
        Pair(_rounds(before[k]), _rounds(after[k]), drift.factor(k[0].op), list(_beside(k, peers, before, after)))
        for k in testable
    ]
    judged = dict(zip(testable, judge(pairs, drift.spread, minimum_effect), strict=True))
    changes = tuple(_change(key, before.get(key), after.get(key), judged.get(key), same_gpu) for key in keys)
    return Comparison(old, new, changes, drift, minimum_effect, tuple(_notes(old, new, drift)))


def _controls(peers: Sequence[str], before: Cells, after: Cells) -> Iterator[tuple[str, float]]:
    """(op, new / old) of every cell of these peers that is in both runs."""
    for key, cell in after.items():
        if key[1] in peers and _comparable(cell) and _comparable(before.get(key)):
            yield key[0].op, ratio_of(_rounds(before[key]), _rounds(cell)).value


def _beside(key: Key, peers: Iterable[str], before: Cells, after: Cells) -> Iterator[Quotients]:
    """Ours / peer in the rounds of both runs, for each of these peers that the case was measured with in both."""
    case, _ = key
    for peer in peers:
        was, now = before.get((case, peer)), after.get((case, peer))
        if _comparable(was) and _comparable(now):
            yield _quotients(before[key], was), _quotients(after[key], now)


def _quotients(ours: Cell, peer: Cell | None) -> list[float]:
    assert ours.latency is not None and peer is not None and peer.latency is not None
    return round_quotients(ours.latency, peer.latency)


def _unchanged(old: Run, new: Run) -> list[str]:
    """Peers of the same version in both runs."""
    versions = {b.name: b.version for b in old.backends if b.role is Role.PEER}
    return [b.name for b in new.backends if b.role is Role.PEER and versions.get(b.name) == b.version]


def _comparable(cell: Cell | None) -> bool:
    """Whether its times are right, and the GPU's."""
    return timed(cell) and not host_bound(cell)


def _rounds(cell: Cell) -> list[float]:
    return round_medians(cell.latency) if cell.latency else []


def _change(
    key: tuple[CaseKey, str], old: Cell | None, new: Cell | None, judged: Judged | None, same_gpu: bool
) -> Change:
    times = {"old_us": median_us(old) if old else None, "new_us": median_us(new) if new else None}
    if judged is not None:
        return Change(*key, judged.verdict, judged.reason, **times, ratio=judged.ratio, p=judged.p)
    was_right = old is not None and old.status is Status.OK
    broken, vanished = was_right and _failed(new), was_right and not _tried(new)
    verdict, reason = _untimed(old, new, same_gpu)
    return Change(*key, verdict, reason, **times, broken=broken, vanished=vanished)


def _tried(cell: Cell | None) -> bool:
    return cell is not None and cell.status not in (Status.SKIPPED, Status.MISSING)


def _failed(cell: Cell | None) -> bool:
    return cell is not None and cell.status in (Status.WRONG, Status.ERROR, Status.TIMEOUT)


def _untimed(old: Cell | None, new: Cell | None, same_gpu: bool) -> tuple[Verdict, str]:
    """The verdict, and its reason, on a cell that does not have right times on both sides of one GPU."""
    if old is None:
        return Verdict.MISSING, "new: not in the old run"
    if new is None:
        return Verdict.MISSING, "vanished: not in the new run"
    if old.status is not Status.OK or new.status is not Status.OK:
        return Verdict.MISSING, f"{_told(old)} before, {_told(new)} now"
    if old.latency is None and new.latency is None:
        return _facts_verdict(old, new)
    if old.latency is None or new.latency is None:
        return Verdict.MISSING, f"no times in the {'old' if old.latency is None else 'new'} run"
    if not same_gpu:
        return Verdict.UNCLEAR, "measured on different GPUs"
    if host_bound(old) or host_bound(new):
        which = "old" if host_bound(old) else "new"
        return Verdict.UNCLEAR, f"host-bound in the {which} run: the GPU waited for the host"
    return Verdict.MISSING, "every sample was dropped"


def _told(cell: Cell) -> str:
    return "ok" if cell.status is Status.OK else f"{cell.status.value} ({cell.reason})"


def _facts_verdict(old: Cell, new: Cell) -> tuple[Verdict, str]:
    """Without times, what the compiler says of the code is all there is to go by: equal, or not."""
    if not old.facts and not new.facts:
        return Verdict.UNCLEAR, "no times; right in both"
    before = {(f.target, f.kernel): f for f in old.facts}
    after = {(f.target, f.kernel): f for f in new.facts}
    changed = [text for key in after if key in before and (text := _difference(before[key], after[key]))]
    if changed or before.keys() != after.keys():
        return Verdict.UNCLEAR, "no times; " + ("; ".join(changed) or "other kernels are compiled")
    return Verdict.SAME, "no times; compiles to the same registers, spills and shared memory"


def _difference(old: CompileFacts, new: CompileFacts) -> str:
    names = ("registers", "spills", "shared_bytes", "matrix_instructions", "error")
    parts = [f"{n} {getattr(old, n)} → {getattr(new, n)}" for n in names if getattr(old, n) != getattr(new, n)]
    return f"{new.target}: {', '.join(parts)}" if parts else ""


def _notes(old: Run, new: Run, drift: Drift) -> Iterator[str]:
    if old.id == new.id:
        yield f"both are the run {old.id}"
    if old.machine.gpu != new.machine.gpu:
        yield f"the GPUs differ ({old.machine.gpu}, {new.machine.gpu}): times are not comparable"
    for part, names in (
        ("machine", ("driver", "cuda", "power_limit_watts", "sm_clock_max_mhz")),
        ("software", ("torch", "triton")),
    ):
        for name in names:
            was, now = getattr(getattr(old, part), name), getattr(getattr(new, part), name)
            if was != now:
                yield f"{name.replace('_', ' ')} differs: {was or 'unknown'} before, {now or 'unknown'} now"
    yield from _clock_note(old, new)
    if any(timed(cell) for cell in new.cells):
        yield _drift_note(drift)
    for label, run in (("old", old), ("new", new)):
        if not run.complete:
            yield f"the {label} run was interrupted: it holds {len(run.cells)} cells"
    if absent := operations_gone(old, new):
        counts = Counter(case.op for case in old.cases)
        yield f"the new run holds nothing of {', '.join(f'{op} ({counts[op]})' for op in absent)}"


def operations_gone(old: Run, new: Run) -> list[str]:
    """Operations of which the new run, or what was asked of it, has no case at all."""
    there = {case.op for case in new.cases}
    return [op for op in dict.fromkeys(case.op for case in old.cases) if op not in there]


def _clock_note(old: Run, new: Run) -> Iterator[str]:
    """Clocks of cases that are in both, as they were while these were measured."""
    clocks = {key: cell.latency.sm_mhz for key, cell in old.by_key.items() if cell.latency and cell.latency.sm_mhz}
    both = [
        (clocks[key], cell.latency.sm_mhz)
        for key, cell in new.by_key.items()
        if key in clocks and cell.latency and cell.latency.sm_mhz
    ]
    if both:
        was, now = (statistics.median(side) for side in zip(*both, strict=True))
        if abs(now / was - 1) > _CLOCKS:
            yield f"the usual clock of the multiprocessors differs: {was:.0f} MHz before, {now:.0f} MHz now"


def _drift_note(drift: Drift) -> str:
    if not drift.groups:
        return (
            f"only {drift.controls} unchanged peers to tell the machine's drift from: none is taken out, and "
            f"{drift.spread:.1%} is assumed"
        )
    factor = drift.factor(None)
    return (
        f"{drift.controls} unchanged peers: the machine is {abs(factor - 1):.1%} "
        f"{'slower' if factor > 1 else 'faster'} now (taken out), and single cases differ by {drift.spread:.1%} "
        "(standard deviation)"
    )
