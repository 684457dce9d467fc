"""Measuring in a clean process of its own, which a candidate may hang or fault without harm to the user's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from helion_autotune.evaluate.jobs import import_path
from helion_autotune.evaluate.pipeline import Measurement
from helion_autotune.evaluate.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from helion_autotune.evaluate.pipeline import Compiled


class ProcessMeasurer:
    """The ``measure`` (the object itself) and ``interleave`` of a PipelineEvaluator, run in one worker process.

    ``measure``: import path of ``function(request, best_ms)`` giving milliseconds or ``{"milliseconds": …, "facts":
    {…}}``, where ``request(compiled)`` makes the JSON that is sent (by default ``{"payload": …, "output": …}``) and
    ``best_ms`` is None until something was measured. ``interleave``: import path of ``function(requests)``.
    ``setup`` runs once in every fresh process, to make inputs and a reference run. A job past ``timeout`` seconds
    is killed, one that raises DeviceFault has its process replaced.
    """

    def __init__(
        self,
        measure: Callable[..., Any] | str,
        *,
        interleave: Callable[..., Any] | str | None = None,
        request: Callable[[Compiled], Any] | None = None,
        setup: tuple[Callable[..., Any] | str, Sequence[Any]] | None = None,
        timeout: float | None = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._measure = import_path(measure)
        self._interleave = None if interleave is None else import_path(interleave)
        self._request = request or _whole
        self.pool = WorkerPool(1, timeout=timeout, setup=setup, env=env)

    def __call__(self, compiled: Compiled, best_ms: float) -> Measurement:
        best = best_ms if math.isfinite(best_ms) else None
        answer = self.pool.submit(self._measure, self._request(compiled), best).result()
        if not isinstance(answer, dict):
            return Measurement(float(answer))
        return Measurement(float(answer["milliseconds"]), dict(answer.get("facts", {})))

    def interleave(self, compileds: Sequence[Compiled]) -> list[float | None]:
        """Measure finalists against each other; without a function for it, raises NotImplementedError."""
        if self._interleave is None:
            raise NotImplementedError("no `interleave` function was given")
        return list(self.pool.submit(self._interleave, [self._request(c) for c in compileds]).result())

    def close(self) -> None:
        """Kill the process."""
        self.pool.shutdown(cancel_futures=True)


def _whole(compiled: Compiled) -> Any:
    return {"payload": compiled.payload, "output": compiled.output}
