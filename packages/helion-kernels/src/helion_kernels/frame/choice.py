"""The config of a specialisation: the nearest entry of the tables, else what the kernel itself prefers, else the
default of helion's planner.

`chosen_by` puts another chooser in place, for `helion_kernels.tune`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from helion import Config, exc

from .tables import Signature, lookup

if TYPE_CHECKING:
    from helion import BoundKernel
    from helion.runtime.abstract import AbstractKernel
    from helion.runtime.targets import Target

log = logging.getLogger(__name__)

Chooser = Callable[[str, "BoundKernel", Sequence[Any]], "Config | None"]
Preference = Callable[..., Mapping[str, Any]]

_MUCH_SPILLED = 192  # bytes per thread; what kernels prefer was found on one GPU, where the best spills 176

PREFERENCES: dict[AbstractKernel, tuple[Preference, str]] = {}
"""What kernels say of themselves: keys of a config, by their arguments (none where they have nothing to say), and what
the names of the targets begin with that this holds for.
"""


def config(op: str, bound: BoundKernel, args: Sequence[Any]) -> Config:
    """What kernels ask on the first call of a specialisation."""
    found = _chooser(op, bound, args)
    return default(bound, args) if found is None else found


def default(bound: BoundKernel, args: Sequence[Any], target: Target | None = None) -> Config:
    """The config for `target` (by default that of the arguments) where no table serves."""
    target = target or bound.target
    prefer, family = PREFERENCES.get(bound.kernel, (_nothing, ""))
    keys = prefer(*args) if target is None or target.name.startswith(family) else {}
    found = _fitted(Config(**keys), bound, target) if keys else None
    if found is None or _spills_far_less(bound, target, found.spills):
        return bound.default_config(target)
    return found.config


def _nothing(*_: Any) -> Mapping[str, Any]:
    return {}


def _spills_far_less(bound: BoundKernel, target: Target | None, spilled: int) -> bool:
    """Whether the planner's config spills less than half of `spilled` bytes per thread, and that is much."""
    if target is None or spilled <= _MUCH_SPILLED:
        return False
    return 2 * bound.compile_for(target, bound.default_config(target)).spills < spilled


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
        found = _fitted(entry.config, bound, bound.target)
        if found is not None:
            return found.config
    return None


_chooser: Chooser = from_tables


def by_tables() -> bool:
    """Whether nobody else chooses at the moment."""
    return _chooser is from_tables


class _Fitted(NamedTuple):
    config: Config
    spills: int  # bytes per thread; 0 in the interpreter


def _fitted(config: Config, bound: BoundKernel, target: Target | None) -> _Fitted | None:
    """`config` repaired for these sizes and this GPU; None where that is not possible."""
    spills = 0
    try:
        repaired, notes = config.repair(bound.spec_for(target))
        if target is not None:
            facts = bound.compile_for(target, repaired)
            if facts.shared_memory > target.shared_memory:
                return None
            spills = facts.spills
    except (exc.Base, TypeError, ValueError) as error:
        log.warning("%s: %r is of no use here: %s", bound.kernel.name, config, error)
        return None
    for note in notes:
        log.debug("%s: config repaired: %s", bound.kernel.name, note)
    return _Fitted(repaired, spills)
