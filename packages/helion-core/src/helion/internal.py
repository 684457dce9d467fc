"""Where only our own code runs: an exception there is our defect, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import exc


@contextmanager
def internal_errors(doing: str) -> Iterator[None]:
    """Turns what is no error of the catalogue into `InternalError`, with the original as its cause."""
    try:
        yield
    except exc.Base:
        raise
    except Exception as error:
        raise exc.InternalError(text=f"{type(error).__name__}: {error} (while {doing})") from error
