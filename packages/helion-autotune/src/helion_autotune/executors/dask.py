"""Dask as an executor: several GPUs, several hosts. Needs the extra ``dask``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from helion_autotune.optional import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor


@contextlib.contextmanager
def dask_executor(address: str | None = None, *, workers: int = 1, **cluster: Any) -> Iterator[Executor]:
    """A ``concurrent.futures`` executor over a Dask cluster, for as long as the context lasts.

    ``address`` is a running scheduler's. Without one, a cluster of ``workers`` single-threaded processes is started
    on this machine (``cluster`` are further arguments of LocalCluster). Single-threaded, so that each measures
    alone on its device: where there are several GPUs, start one worker per GPU with its own
    ``CUDA_VISIBLE_DEVICES``.

    LocalCluster re-imports the user's script in its workers, so a script needs a main guard for that; a scheduler
    at an address does not. Raises MissingDependency without Dask.
    """
    distributed = require("distributed", "dask")
    with contextlib.ExitStack() as stack:
        if address is None:
            local = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, **cluster)
            address = stack.enter_context(local).scheduler_address
        client = stack.enter_context(distributed.Client(address, set_as_default=False))
        # pure=False: equal arguments must be run again, a measurement is no function of them; retries would repeat
        # crashes
        yield client.get_executor(pure=False, retries=0)
