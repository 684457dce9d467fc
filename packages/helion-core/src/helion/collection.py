"""Imports without garbage collection, whose passes over all objects are a third of what big imports take."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Garbage is not collected meanwhile, and objects made meanwhile count as old: modules stay as long as the process.

    Where the caller has turned collection off, or has frozen objects, his settings stay.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()  # these two together move all objects to the oldest generation, and look at none
            gc.unfreeze()
        gc.enable()
