"""Where the config of a first call comes from.

What the kernel's own function answers; the only one given; the default where nobody wants tuning; the fastest of
several given; the cache; a search. `force` bypasses what was given and what is cached.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..config import Config, as_config

if TYPE_CHECKING:
    from ..runtime.specialization import Specialization

log = logging.getLogger(__name__)


def choose(bound: Specialization, args: Sequence[Any], force: bool = False) -> Config:
    """The config for calls with arguments like `args`; `force` tunes whatever was given or is cached."""
    settings, configs = bound.kernel.settings, bound.kernel.configs
    force = force or settings.force_autotune
    if not force:
        if bound.kernel.chooser is not None:
            answer = bound.kernel.chooser(bound, args)
            return bound.default_config() if answer is None else as_config(answer)
        if len(configs) == 1:
            return as_config(configs[0])
        if settings.use_default_config or settings.autotune_effort == "none":
            return bound.default_config()
    target = bound.target
    if target is None or settings.interpret:
        return _without_gpu(bound, args)
    from .tuner import Tuner

    if configs and not force:
        return Tuner(bound, args, target).fastest_given(configs)
    return Tuner(bound, args, target).best(force)


def _without_gpu(bound: Specialization, args: Sequence[Any]) -> Config:
    if len(bound.kernel.configs) > 1:
        from .inline import fastest_called

        return fastest_called(bound, bound.kernel.configs, args)
    log.info("%s is not tuned, since its tensors are not on a GPU; it uses the default config", bound.kernel.name)
    return as_config(bound.kernel.configs[0]) if bound.kernel.configs else bound.default_config()
