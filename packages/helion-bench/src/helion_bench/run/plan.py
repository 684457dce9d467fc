"""From a request to the cases and backends that it names."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..backends import asking
from ..backends import catalogue as backends_catalogue
from ..backends.backend import Backend
from ..cases import catalogue
from ..errors import InvalidRequest
from ..measure.alone import busy_note
from ..measure.machine import busy, machine, software
from ..request import Request
from ..results import model
from ..results.model import CaseKey, Run, Status
from ..tritonbench import checkout, operators
from ..tritonbench.operators import Adapter
from .options import Options

METRICS = frozenset({"latency", "compile_time", "host_overhead", "memory"})
"""What is measured; other metrics are computed from these."""
TRITONBENCH = "tritonbench"
_CELLS_OF_AN_OPERATOR = 15
_EXTENTS: dict[tuple[str, bool], catalogue.Extent] = {
    ("cuda", False): "full", ("cuda", True): "quick", ("cpu", False): "cpu", ("cpu", True): "cpu-quick",
}  # fmt: skip
_PASSES: tuple[model.Pass, ...] = ("fwd", "bwd")
_FROM_LATENCY = frozenset({"speedup", "tflops", "gbps", "peak_share"})


@dataclass(frozen=True)
class Plan:
    """Cases and backends, found and checked, nothing measured yet. `run` holds everything but cells."""

    run: Run
    cases: tuple[CaseKey, ...]
    backends: tuple[Backend, ...]
    options: Options
    device: str
    tritonbench: Path | None = None
    """The folder that tritonbench is imported from, where it takes part."""
    adapters: tuple[Adapter, ...] = ()

    @property
    def size(self) -> int:
        """How many cells there will be; those of tritonbench are guessed, they are not known before it runs."""
        return len(self.cases) * len(self.backends) + len(self.adapters) * _CELLS_OF_AN_OPERATOR


def plan(request: Request) -> Plan:
    """Raises InvalidRequest, listing what there is, for what does not exist."""
    if request.device not in ("cuda", "cpu"):
        raise InvalidRequest(f"there is no device {request.device!r}", known=["cuda", "cpu"])
    if request.device == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest("there is no GPU here: --device cpu checks results and compiles, without timing")
    extent = _EXTENTS[request.device, request.quick]
    passes: list[model.Pass] = [p for p in _PASSES if p in request.passes]
    if unknown := set(request.passes) - set(_PASSES):
        raise InvalidRequest(f"there is no pass {', '.join(sorted(unknown))}", known=_PASSES)
    root, adapters = _tritonbench(request)
    names = [n for n in request.ops if n not in {a.operator for a in adapters} or n in catalogue.REGISTRY.names()]
    own = bool(names or not request.ops) and set(request.backends) != {TRITONBENCH}
    cases = catalogue.cases(
        names, shapes=request.shapes, dtypes=request.dtypes, passes=passes, extent=extent, elsewhere=bool(adapters)
    ) if own else []  # fmt: skip
    backends, notes = _backends(request) if own else ([], [])
    if request.device == "cuda":
        notes += busy_note(busy())
    memory = torch.cuda.get_device_properties(0).total_memory if request.device == "cuda" else None
    options = dataclasses.replace(
        Options.of(
            request.device, measured(request.metrics), quick=request.quick, seconds=request.seconds, memory=memory
        ),
        shapes=request.shapes,
        dtypes=request.dtypes,
    )
    if cases:
        _something_runs(cases, backends, request.device)
    run = _run(request, listed(backends, request.device), notes)
    return Plan(run, tuple(cases), tuple(backends), options, request.device, root, tuple(adapters))


def _something_runs(cases: Sequence[CaseKey], backends: Sequence[Backend], device: str) -> None:
    """Raises InvalidRequest where no backend computes any of the cases, with why."""
    reasons: list[str] = []
    for backend, case in itertools.product(backends, cases):
        refused = asking.refusal(backend, case, device)
        if refused is None or refused[0] is Status.ERROR:
            return
        status, reason = refused
        reasons.append(f"{backend.name}: {reason}" if status is Status.MISSING else reason)
    raise InvalidRequest(f"none of {', '.join(b.name for b in backends)} runs any of this ({_first(reasons)})")


def _first(reasons: Sequence[str], most: int = 4) -> str:
    different = list(dict.fromkeys(reasons))
    return "; ".join([*different[:most], *(["…"] if len(different) > most else [])])


def _tritonbench(request: Request) -> tuple[Path | None, list[Adapter]]:
    """Where it is and which of its operators take part: where a checkout is given, or the backend is named."""
    if request.tritonbench is None and TRITONBENCH not in request.backends:
        return None, []
    if "fwd" not in request.passes:
        raise InvalidRequest("tritonbench's operators are run forward only: --passes without fwd leaves them nothing")
    root = checkout.locate(request.tritonbench)
    if root is None:
        raise InvalidRequest(f"tritonbench is {checkout.why_not(None)}")
    return root, operators.chosen(request.ops)


def measured(metrics: Sequence[str]) -> frozenset[str]:
    """What has to be measured for `metrics`; nothing given means the time alone."""
    wanted = set(metrics) & METRICS
    if not metrics or set(metrics) & _FROM_LATENCY:
        wanted.add("latency")
    return frozenset(wanted)


def listed(backends: Sequence[Backend], device: str) -> tuple[model.Backend, ...]:
    """Backends as a run lists them."""
    return tuple(
        model.Backend(b.name, b.role, asking.version(b), b.description, asking.why_not(b, device) or "")
        for b in backends
    )


def _backends(request: Request) -> tuple[list[Backend], list[str]]:
    """Those to run, and notes on those that are left out because nobody named them and they are not there."""
    found = backends_catalogue.backends([name for name in request.backends if name != TRITONBENCH])
    if request.backends:
        return found, []
    absent = {b.name: reason for b in found if (reason := asking.why_not(b, request.device))}
    return [b for b in found if b.name not in absent], [f"{name}: {reason}" for name, reason in absent.items()]


def _run(request: Request, backends: tuple[model.Backend, ...], notes: Sequence[str]) -> Run:
    now = datetime.datetime.now(datetime.timezone.utc)
    return Run(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        started=now.isoformat(timespec="seconds"),
        command=tuple(request.command),
        machine=machine(request.device),
        software=software(),
        backends=backends,
        notes=tuple(notes),
    )
