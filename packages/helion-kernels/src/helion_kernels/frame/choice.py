"""The config of a specialisation: the nearest entry of the tables, else the default of helion's planner.

`chosen_by` puts another chooser in place, for `helion_kernels.tune`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from helion import exc

from .tables import Entry, Signature, lookup

if TYPE_CHECKING:
    from helion import BoundKernel, Config

log = logging.getLogger(__name__)

Chooser = Callable[[str, "BoundKernel", Sequence[Any]], "Config | None"]


def config(op: str, bound: BoundKernel, args: Sequence[Any]) -> Config | None:
    """What kernels ask on the first call of a specialisation. None: the default."""
    return _chooser(op, bound, args)


@contextlib.contextmanager
def chosen_by(chooser: Chooser) -> Iterator[None]:
    """Has `chooser` asked for the duration, from every thread (backward passes run in threads of their own)."""
    global _chooser
    before, _chooser = _chooser, chooser
    try:
        yield
    finally:
        _chooser = before


def from_tables(op: str, bound: BoundKernel, args: Sequence[Any]) -> Config | None:
    """The nearest config of the tables that compiles for these arguments, or None."""
    signature = Signature.of(bound.kernel.name, args)
    for entry in lookup(op, bound.device, signature):
        found = _fitted(entry, bound)
        if found is not None:
            return found
    return None


_chooser: Chooser = from_tables


def _fitted(entry: Entry, bound: BoundKernel) -> Config | None:
    """The config of `entry`, repaired for these sizes and this GPU; None where that is not possible."""
    target = bound.target
    try:
        repaired, notes = entry.config.repair(bound.config_spec)
        if target is not None and bound.compile_for(target, repaired).shared_memory > target.shared_memory:
            return None
    except (exc.Base, TypeError, ValueError) as error:
        log.warning("%s: a config of the tables is of no use here: %s", bound.kernel.name, error)
        return None
    for note in notes:
        log.debug("%s: config repaired: %s", bound.kernel.name, note)
    return repaired
