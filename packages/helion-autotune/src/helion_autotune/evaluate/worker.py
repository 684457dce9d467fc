"""The worker process: started clean by :mod:`~helion_autotune.evaluate.process`, it runs jobs until its pipe closes.

It never imports the user's ``__main__``. Whatever jobs print goes to stderr, so it cannot garble the protocol. It
dies with its parent, even one killed with SIGKILL.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from helion_autotune.errors import CANDIDATE_ERRORS
from helion_autotune.evaluate import wire
from helion_autotune.evaluate.jobs import resolve

_PR_SET_PDEATHSIG = 1


def main(parent: int) -> None:
    """Serve the process ``parent`` over stdin and stdout."""
    _die_with(parent)
    incoming, outgoing = _take_over_pipes()
    while True:
        try:
            message = wire.read(incoming)
        except wire.EndOfStream:
            return
        wire.write(outgoing, _sendable(_run(message)))


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _take_over_pipes() -> tuple[int, int]:
    """Keep the pipes for the protocol; jobs that read stdin find it empty, those that print write to stderr."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _run(message: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": resolve(message["function"])(*message["arguments"])}
    except BaseException as error:  # SystemExit and the like from a job must not end the worker silently
        kind = type(error).__name__
        if kind in CANDIDATE_ERRORS and isinstance(error, CANDIDATE_ERRORS[kind]):
            return {"error": kind, "message": str(error)}
        return {"error": None, "message": f"{kind}: {error}"}


def _sendable(reply: dict[str, Any]) -> dict[str, Any]:
    try:
        wire.encode(reply)
    except (TypeError, ValueError) as error:
        return {"error": None, "message": f"the job's result is not JSON: {error}"}
    return reply


if __name__ == "__main__":
    main(os.getppid())
    sys.exit(0)
