"""Starting the processes of a search while the kernel is still being traced, where a search is certain to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings import skip_cache

if TYPE_CHECKING:
    import torch

    from ..runtime.definition import Definition


def expect_search(kernel: Definition, device: torch.device) -> None:
    """Starts them if calls of `kernel` will tune, having neither configs nor results on this machine."""
    settings = kernel.settings
    if device.type != "cuda" or settings.interpret:
        return
    if not settings.force_autotune:
        if kernel.chooser or kernel.configs or settings.use_default_config or settings.autotune_effort == "none":
            return
        if not skip_cache() and (settings.autotune_cache != "local" or _has_results(kernel.name)):
            return
    from .measurer import prepare
    from .workers import compilers

    with compilers(settings.autotune_precompile_jobs, settings.autotune_compile_timeout):
        prepare(device)


def _has_results(name: str) -> bool:
    from helion_autotune.caches.stored import folder_of

    from .plugins import cache_root

    return any((cache_root() / folder_of(name)).glob("*.json"))
