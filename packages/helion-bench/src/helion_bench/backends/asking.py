"""Backends asked what they are and can do: whatever one of them raises costs nobody but itself."""

from __future__ import annotations

from ..results.model import CaseKey, Status
from .backend import Backend


def version(backend: Backend) -> str:
    """Of what it calls; "unknown" where it cannot tell."""
    try:
        return backend.version()
    except Exception:
        return "unknown"


def why_not(backend: Backend, device: str) -> str | None:
    """Why it cannot run on "cuda" or "cpu", or None."""
    if device == "cpu" and not backend.cpu:
        return "needs a GPU"
    try:
        return backend.why_not()
    except Exception as error:
        return f"does not tell whether it is here: {_told(error)}"


def refusal(backend: Backend, case: CaseKey, device: str) -> tuple[Status, str] | None:
    """Why it does not compute a case on a device, as the status and the reason of a cell; None where it does."""
    if absent := why_not(backend, device):
        return Status.MISSING, absent
    try:
        declined = backend.declines(case)
    except Exception as error:
        return Status.ERROR, f"does not tell whether it computes this: {_told(error)}"
    return (Status.SKIPPED, declined) if declined else None


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
