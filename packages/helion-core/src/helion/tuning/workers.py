"""The processes that compile, shared by all tuning of this process; they end when idle."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from helion_autotune.evaluate import WorkerPool

IDLE_SECONDS = 30.0
_WARM = ("helion.tuning.worker:warm", [])

_lock = threading.Lock()
_pools: dict[tuple[int | None, float], tuple[WorkerPool, int, threading.Timer | None]] = {}


@contextlib.contextmanager
def compilers(jobs: int | None, timeout: float) -> Iterator[WorkerPool]:
    """A pool of `jobs` processes (None: one per core) that give up on a job after `timeout` seconds."""
    key = (jobs, timeout)
    pool = _take(key)
    try:
        yield pool
    finally:
        _give_back(key)


def _take(key: tuple[int | None, float]) -> WorkerPool:
    with _lock:
        pool, users, timer = _pools.get(key, (None, 0, None))
        if timer is not None:
            timer.cancel()
        if pool is None:
            jobs, timeout = key
            pool = WorkerPool(
                jobs, timeout=timeout or None, setup=_WARM, env={"OMP_NUM_THREADS": "1", **_cache_folder()}
            )
            pool.warm_up()
        _pools[key] = (pool, users + 1, None)
        return pool


def _cache_folder() -> dict[str, str]:
    """Where Triton keeps compiled kernels, also if that was set in this process only."""
    from triton import knobs

    return {"TRITON_CACHE_DIR": str(knobs.cache.dir)}


def _give_back(key: tuple[int | None, float]) -> None:
    with _lock:
        pool, users, _ = _pools[key]
        timer = None
        if users == 1:
            timer = threading.Timer(IDLE_SECONDS, _end, [key])
            timer.daemon = True
            timer.start()
        _pools[key] = (pool, users - 1, timer)


def _end(key: tuple[int | None, float]) -> None:
    with _lock:
        pool, users, _ = _pools[key]
        if users:
            return
        del _pools[key]
    pool.shutdown(cancel_futures=True)
