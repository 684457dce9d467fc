"""The process that a case lives in: all its backends, checked first and measured later, when nobody else is at work.

Its functions are called by import path with JSON. Right or wrong is known before anything is timed. What a backend
raises costs its own cell; what it does to the process costs it the same, since the runner sees in `progress` who was at
work, and repeats the case without it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from helion_autotune.errors import DeviceFault
from helion_autotune.evaluate.jobs import resolve

from ..backends import catalogue as backends
from ..backends import ours
from ..backends.backend import Backend, Implementation
from ..cases import catalogue
from ..measure.device import Device
from ..measure.monitor import monitor
from ..measure.rounds import Samples, interleave
from ..measure.sampler import Subject, calibrate
from . import outcome
from .calls import Bound, Problem, allocated, bind, forget, hand_back, release
from .judge import Judge
from .outcome import Outcome
from .progress import Progress, limited

SEARCH_SECONDS = 600.0  # for the first call of a backend that measures candidates
_GRAPH_US = 150.0  # calls shorter than this are measured in CUDA graphs: launches would show
_REPLAY_US = 2400.0  # device time of one graph, about
_GRAPH_CALLS = (2, 16)  # in one graph, unless there are more copies of the inputs
_COPIES = 128  # of the inputs, at most
_STICKY = ("illegal", "misaligned", "unspecified launch failure", "device-side assert", "launch timed out")
_NO_ROOM = ("out of memory", "alloc_failed")  # as torch, cuBLAS and cuDNN say it


class Crowded(Exception):
    """Memory ran out while others were at work too."""


@dataclass
class Contender:
    """A backend that computes the case: how to call it, and what is known of it so far."""

    backend: Backend
    function: Implementation
    outcome: Outcome
    subject: Subject | None = None


@dataclass
class Race:
    """One case: its problem, its backends, what became of them."""

    problem: Problem
    request: dict[str, Any]
    progress: Progress
    device: Device
    contenders: list[Contender] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def asked(self, metric: str) -> bool:
        return metric in self.request["metrics"]

    def named(self, *, searching: bool) -> list[str]:
        """The backends that measure candidates in their first call, or the others."""
        return [name for name in self.request["backends"] if backends.backend(name).searches is searching]


_begun: list[Race] = []
"""The case of this process, between its check and its measurement."""


def warm(device: str) -> None:
    """Imports and a context on the device, so that no case pays for them."""
    resolve(device)().synchronize()


def check_case(request: dict[str, Any]) -> bool:
    """Compile, call and check all backends but those that search; False where that has to be repeated alone.

    `request`: `device` (import path of its class), `case`, `backends`, `metrics`, `rounds`, `step_seconds`, `progress`
    (a path), `graphs` (whether CUDA graphs may be used), `targets` (to compile for), `shared` (whether other processes
    use the GPU). Raises DeviceFault where the GPU is of no more use to this process.
    """
    _end()
    forget()
    steps = Progress(request["progress"], request["step_seconds"])
    try:
        with limited(steps):
            _begun.append(_begin(request, steps))
        return True
    except Exception as error:
        if not (isinstance(error, Crowded) or _crowded(request, error)):
            raise
    forget()  # outside of the handler, which holds on to frames and their tensors
    return False


def time_case(seconds: float) -> dict[str, Outcome]:
    """Measure what `check_case` left here, with rounds of `seconds`: outcomes by backend. Raises DeviceFault."""
    try:
        return _measured(_begun[0], seconds)
    finally:
        _end()


def _measured(race: Race, seconds: float) -> dict[str, Outcome]:
    race.request["shared"] = False
    with limited(race.progress), race.device.active():
        if late := race.named(searching=True):
            _check(race, late)
        if race.asked("latency"):
            _timed(race, race.contenders, seconds)
    return _outcomes(race)


def _begin(request: dict[str, Any], steps: Progress) -> Race:
    case = outcome.from_json(request["case"])
    device: Device = resolve(request["device"])()
    with device.active():
        steps.mark("", "inputs")
        problem = Problem.make(case, catalogue.operation(case.op), device.torch_device)
        race = Race(problem, request, steps, device)
        _check(race, race.named(searching=False))
        hand_back()
    return race


def _end() -> None:
    """The case of this process is over; what it had is released, if only now."""
    _begun.clear()
    ours.end()
    hand_back()


def _outcomes(race: Race) -> dict[str, Outcome]:
    """Of all backends, with the seconds that went into each; those of the case as a whole stand with the first."""
    found = race.outcomes | {c.backend.name: c.outcome for c in race.contenders}
    for step, seconds in race.progress.spent.items():
        name = step.backend or race.request["backends"][0]
        found[name].setdefault("spent", []).append([step.name, round(seconds, 3)])
    return found


def _check(race: Race, names: Sequence[str]) -> None:
    """Contenders for those that run, with their verdicts."""
    if not names:
        return
    race.progress.mark("", "reference")
    judge = Judge(race.problem, fatal=lambda error: _crowded(race.request, error))
    untouched = race.problem.checksum()
    for name in names:
        race.progress.mark(name, "first call", SEARCH_SECONDS if backends.backend(name).searches else None)
        before = allocated()
        try:
            contender = _first(race, backends.backend(name), judge)
            if race.problem.checksum() != untouched:
                raise RuntimeError("it changed its inputs")
            race.contenders.append(contender)
        except Exception as error:  # whatever a backend raises costs its own cell
            if _crowded(race.request, error):
                raise Crowded(str(error)) from None
            race.outcomes[name] = _failure(race, name, error)
            race.problem = race.problem.again()
        if allocated() > before:  # held by cycles, which take long to find
            release()


def _crowded(request: dict[str, Any], error: Exception) -> bool:
    return request["shared"] and any(word in str(error).lower() for word in _NO_ROOM)


def _first(race: Race, backend: Backend, judge: Judge) -> Contender:
    """The first calls of a backend: how long they take, whether they are right, how much memory they need."""
    problem = race.problem
    function = backend.implement(problem.case, problem.operation)
    with backend.active():
        begin = time.perf_counter()
        bound, returned = _once(race, function)
        seconds = time.perf_counter() - begin
    contender = Contender(backend, function, outcome.judged(judge(problem, bound.results(returned))))
    del returned, bound
    with backend.active():
        contender.outcome["config"] = backend.config()
        if targets := race.request["targets"]:
            contender.outcome["facts"] = [asdict(facts) for facts in backend.facts(targets)]
        if race.asked("compile_time") and backend.compiles:
            begin = time.perf_counter()
            _once(race, function)
            contender.outcome["compile_seconds"] = max(0.0, seconds - (time.perf_counter() - begin))
        if race.asked("memory"):
            contender.outcome["peak_memory_bytes"] = race.device.peak_bytes(bind(problem, function).call)
    return contender


def _once(race: Race, function: Implementation) -> tuple[Bound, Any]:
    bound = bind(race.problem, function)
    returned = bound.call()
    race.device.synchronize()
    return bound, returned


def _timed(race: Race, contenders: list[Contender], seconds: float) -> None:
    """Samples of all contenders, taken in turn."""
    race.progress.mark("", "copies")
    count = min(_COPIES, max(1, math.ceil(2 * race.device.l2_bytes / max(race.problem.footprint, 1))))
    problems = race.problem.copies(count)
    running = [c for c in contenders if _calibrated(race, c, problems)]
    method = "cuda-graph" if _graphed(race, running) else "events"
    running = [c for c in running if c.subject is not None]
    subjects = [c.subject for c in running if c.subject is not None]
    with monitor(race.device.uuid) as state:
        found = interleave(
            race.device, subjects, race.request["rounds"], seconds, state,
            before=lambda subject: race.progress.mark(subject.name, "rounds"),
        )  # fmt: skip
    for contender, samples in zip(running, found, strict=True):
        _record(race, contender, samples, method)


def _calibrated(race: Race, contender: Contender, problems: list[Problem]) -> bool:
    """Whether the contender can be timed; its subject is made."""
    name = contender.backend.name
    race.progress.mark(name, "calibration")
    try:
        with contender.backend.active():
            calls = [bind(p, contender.function).call for p in problems]
            subject = Subject(name, calls, active=contender.backend.active)
            calibrate(race.device, subject)
    except Exception as error:
        contender.outcome = _failure(race, name, error)
        return False
    contender.subject = subject
    if race.asked("host_overhead"):
        contender.outcome["host_overhead_us"] = subject.host_us
    return True


def _graphed(race: Race, contenders: list[Contender]) -> bool:
    """Whether they ought to be measured in CUDA graphs and all could be captured, so that all are; else none is."""
    subjects = [c.subject for c in contenders if c.subject is not None]
    if not race.request["graphs"] or race.problem.operation.reads_on_host or not _want_graphs(subjects):
        return False
    graphs = []
    for subject in subjects:
        race.progress.mark(subject.name, "capture")
        try:
            graphs.append(_captured(race.device, subject))
        except Exception as error:
            _failure(race, subject.name, error)  # the process may be lost; if it is not, events will do
            return False
    for contender, graph in zip(contenders, graphs, strict=True):
        contender.subject = graph
    return True


def _want_graphs(subjects: Sequence[Subject]) -> bool:
    """Where a call is so short that launches show, or keeps the host longer than the GPU."""
    return any(s.device_us <= _GRAPH_US or s.host_us > s.device_us for s in subjects)


def _captured(device: Device, subject: Subject) -> Subject:
    """The calls of a subject as one graph, in which each copy of the inputs has its turn as often as any other."""
    low, high = _GRAPH_CALLS
    wanted = min(high, max(low, math.ceil(_REPLAY_US / max(subject.device_us, 1.0))))
    count = len(subject.calls) * math.ceil(wanted / len(subject.calls))
    with subject.active():
        replay = device.captured(subject.next(count))
        graph = Subject(subject.name, [replay], per_call=count, active=subject.active)
        calibrate(device, graph)
    return graph


def _record(race: Race, contender: Contender, samples: Samples, method: str) -> None:
    if samples.failure is not None:
        contender.outcome = _failure(race, contender.backend.name, samples.failure)
        return
    latency = {
        "rounds": samples.rounds, "method": method, "dropped": samples.dropped, "sm_mhz": samples.sm_mhz,
        "host_bound": samples.host_bound,
    }  # fmt: skip
    contender.outcome["latency"] = latency


def _failure(race: Race, name: str, error: Exception) -> Outcome:
    """The outcome of a backend that raised. Raises DeviceFault where that ended the use of the GPU."""
    text = f"{type(error).__name__}: {error}"
    if any(word in text.lower() for word in _STICKY) or not race.device.alive():
        raise DeviceFault(text) from error
    return outcome.failed(error)
