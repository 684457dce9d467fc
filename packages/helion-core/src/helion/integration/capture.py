"""CUDA graphs: a captured call may only launch; what a first call does besides belongs before the capture."""

from __future__ import annotations

from .. import exc
from . import versions


def refuse_in_capture(name: str, work: str) -> None:
    """Raises `WorkDuringCapture` while a CUDA graph is captured. `work`: what kernel `name` is about to do."""
    if versions.capturing():
        raise exc.WorkDuringCapture(name=name, work=work)
