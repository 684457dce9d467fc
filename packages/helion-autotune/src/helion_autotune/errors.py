"""Every error that this package raises on purpose.

A message says what was wrong and what to do about it. Errors that come out of a candidate (it does not compile, its
output is wrong, …) derive from :class:`CandidateError`; an evaluator turns them into a trial and the search goes
on.
"""

from __future__ import annotations


class AutotuneError(Exception):
    """Base of all errors of this package."""


class InvalidParameter(AutotuneError, ValueError):
    """A parameter was declared with limits that leave nothing to choose."""


class InvalidBudget(AutotuneError, ValueError):
    """A budget has a limit that no run can be held to."""


class InvalidPoint(AutotuneError, ValueError):
    """A point is outside its space; ``reasons`` lists every violation."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(reasons))


class NoValidPoint(AutotuneError):
    """The constraints reject everything that was tried."""


class NameCollision(AutotuneError):
    """Two plug-ins claim one name."""


class UnknownName(AutotuneError, LookupError):
    """No plug-in of that name is installed."""


class UnusablePlugin(AutotuneError, ImportError):
    """A plug-in is installed, but cannot be imported."""


class MissingDependency(AutotuneError, ImportError):
    """An optional library is needed for what was asked; the message says how to install it."""


class StrategyStalled(AutotuneError):
    """A strategy is not done, has nothing in flight, and proposes nothing."""


class JournalMismatch(AutotuneError):
    """A journal belongs to another tuning problem."""


class JournalBusy(AutotuneError):
    """Another process writes this journal."""


class CacheReadOnly(AutotuneError):
    """A write was asked of a cache that can only be read."""


class NotImportable(AutotuneError, ValueError):
    """A function cannot be named by an import path, so a clean worker process cannot find it."""


class CandidateError(AutotuneError):
    """A candidate failed; only that candidate is lost. ``status`` names the trial status it leads to."""

    status: str = "crash"


class CompileError(CandidateError):
    """The candidate does not compile."""

    status = "compile_error"


class CandidateTimeout(CandidateError):
    """The candidate took longer than its limit, and the process that ran it was killed."""

    status = "timeout"


class WrongResult(CandidateError):
    """The candidate runs, but what it computes is wrong."""

    status = "wrong"


class LaunchError(CandidateError):
    """The candidate compiled but cannot be launched (too many resources, for instance)."""

    status = "launch_error"


class Screened(CandidateError):
    """The candidate was rejected on its compile facts, before any time was spent measuring it."""

    status = "screened"


class WorkerCrashed(CandidateError):
    """The process that ran the candidate died."""

    status = "crash"


class DeviceFault(CandidateError):
    """The candidate ran, and left its process unusable (a sticky device error). The worker is restarted."""

    status = "crash"


class JobFailed(CandidateError):
    """A job in a worker process raised an exception of no kind known here; the text is ``Type: message``."""

    status = "crash"


CANDIDATE_ERRORS: dict[str, type[CandidateError]] = {
    cls.__name__: cls
    for cls in (
        CandidateError,
        CompileError,
        CandidateTimeout,
        WrongResult,
        LaunchError,
        Screened,
        WorkerCrashed,
        DeviceFault,
    )
}
