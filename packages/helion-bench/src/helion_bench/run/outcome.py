"""What a process that measures reports of one backend: plain JSON, and the cell made of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import msgspec
import torch

from ..cases import catalogue
from ..cases.verdict import Verdict
from ..plugins import PluginWarning
from ..results.model import Accuracy, CaseKey, Cell, CompileFacts, Latency, Status

Outcome = dict[str, Any]
_LONGEST = 600  # characters of a reason


def failed(error: BaseException | str, status: Status = Status.ERROR) -> Outcome:
    """The outcome of a backend that raised, or of which the reason is known."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return {"status": status.value, "reason": " / ".join(lines)[:_LONGEST] or "no reason given"}


def judged(verdict: Verdict) -> Outcome:
    """The beginning of an outcome: right or wrong."""
    accuracy = {k: getattr(verdict.accuracy, k) for k in Accuracy.__dataclass_fields__}
    if verdict.ok:
        return {"status": Status.OK.value, "accuracy": accuracy}
    return {"status": Status.WRONG.value, "reason": verdict.problem, "accuracy": accuracy}


def cell(case: CaseKey, backend: str, outcome: Mapping[str, Any]) -> Cell:
    """The cell of an outcome. Floating-point operations and bytes are those of the case, if its operation is ours.

    Times that are none (0, or not finite) cost the cell its latency, and nothing else.
    """
    bytes_moved, flops = cost(case)
    accuracy = outcome.get("accuracy")
    try:
        latency = _latency(outcome["latency"]) if outcome.get("latency") else None
    except ValueError as error:
        return cell(case, backend, {k: v for k, v in outcome.items() if k != "latency"} | failed(error))
    return Cell(
        case=case,
        backend=backend,
        status=Status(outcome["status"]),
        reason=outcome.get("reason", ""),
        latency=latency,
        accuracy=Accuracy(**accuracy) if accuracy else None,
        bytes_moved=bytes_moved,
        flops=flops,
        compile_seconds=outcome.get("compile_seconds"),
        host_overhead_us=outcome.get("host_overhead_us"),
        peak_memory_bytes=outcome.get("peak_memory_bytes"),
        config=outcome.get("config", ""),
        facts=tuple(CompileFacts(**facts) for facts in outcome.get("facts", ())),
        spent=tuple((step, seconds) for step, seconds in outcome.get("spent", ())),
    )


def _latency(found: Mapping[str, Any]) -> Latency:
    dropped, clock, host_bound = found["dropped"], found.get("sm_mhz"), found.get("host_bound", False)
    return Latency.of(found["rounds"], found["method"], dropped, clock, host_bound=host_bound)


def to_json(case: CaseKey) -> Any:
    """A case as a request holds it."""
    return msgspec.to_builtins(case)


def from_json(data: Any) -> CaseKey:
    """The reverse of `to_json`."""
    return msgspec.convert(data, CaseKey)


def cost(case: CaseKey) -> tuple[int | None, int | None]:
    """The least bytes and floating-point operations of a case; None where its operation is not ours, or cannot tell."""
    if not case.sizes:
        return None, None
    operation, sizes = catalogue.operation(case.op), dict(case.sizes)
    itemsize = getattr(torch, case.dtype).itemsize
    try:
        return round(operation.bytes(sizes, itemsize, case.pass_)), round(operation.flops(sizes, case.pass_))
    except Exception as error:  # of a plug-in: its cases have no rates, all else is measured
        warnings.warn(
            f"{case.op} cannot tell what it costs ({type(error).__name__}: {error})", PluginWarning, stacklevel=2
        )
        return None, None
