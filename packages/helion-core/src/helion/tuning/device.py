"""The process that measures: it holds the arguments on the GPU and runs candidates, which may hang, fault or write
anywhere.

Its functions are called by import path with JSON. One set of arguments is held at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from helion_autotune.errors import CandidateError, DeviceFault, LaunchError, WrongResult

from ..runtime.launching.descriptor import make_descriptor
from .accuracy import mismatch
from .arguments import Arguments
from .timing import Clock
from .worker import compiled_kernel

_STICKY = ("illegal", "misaligned", "unspecified launch failure", "device-side assert", "launch timed out")


@dataclass
class _Held:
    """What this process keeps between candidates."""

    path: str
    arguments: Arguments
    clock: Clock
    reference: dict[int, torch.Tensor]


_held: _Held | None = None
_device = torch.device("cuda", 0)


def warm() -> None:
    """Imports what measuring needs, without touching the device."""
    from .worker import warm

    warm()


def start(index: int) -> None:
    """Takes CUDA device `index`."""
    global _device
    _device = torch.device("cuda", index)
    torch.cuda.set_device(_device)
    torch.empty(1, device=_device)
    torch.cuda.synchronize()


def load(path: str, reference: dict[str, Any] | None) -> str:
    """Holds the arguments in the file `path`, and what the candidate `reference` makes of its own arguments.

    Gives the reason why there is no reference, or the empty text. Does nothing where `path` is held already. Raises
    `LaunchError` where the device has no room for the arguments.
    """
    global _held
    if _held is not None and _held.path == path:
        return ""
    release()
    try:
        outputs, problem = _reference(reference)
        arguments = Arguments.load(path, _device)
        _held = _Held(path, arguments, Clock(_device, arguments.footprint), outputs)
    except torch.OutOfMemoryError as error:
        raise LaunchError(str(error).splitlines()[0]) from None
    return problem


def release() -> None:
    """Frees the memory of the GPU, the process stays."""
    global _held
    _held = None
    torch.cuda.empty_cache()


def _reference(request: dict[str, Any] | None) -> tuple[dict[int, torch.Tensor], str]:
    if request is None:
        return {}, ""
    arguments = Arguments.load(request["launch"]["arguments"], _device)
    try:
        with _translated_errors():
            launch = _launcher(request, arguments)
            arguments.restore()
            launch()
            torch.cuda.synchronize()
    except DeviceFault:
        raise
    except CandidateError as error:
        return {}, str(error)
    return arguments.snapshot(), ""


def measure(request: dict[str, Any], best_ms: float | None, check: bool) -> dict[str, Any]:
    """Runs a candidate, checks its outputs if `check`, times it.

    Gives `{"milliseconds", "facts": {"cut": True} if it was measured only once}`. Raises `LaunchError`, `WrongResult`,
    and `DeviceFault`, after which this process is of no more use.
    """
    held = _the_held(request)
    with _translated_errors():
        launch = _launcher(request, held.arguments)
        held.arguments.restore()
        launch()
        torch.cuda.synchronize()
        if check:
            _check(held)
        milliseconds, cut = held.clock.measure(launch, best_ms)
    return {"milliseconds": milliseconds, "facts": {"cut": True} if cut else {}}


def interleave(requests: list[dict[str, Any]]) -> list[float | None]:
    """Times of several candidates, which share the arguments that are held, measured in turns; None where one fails."""
    launches: dict[int, Any] = {}
    for k, request in enumerate(requests):
        with contextlib.suppress(LaunchError), _translated_errors():
            launches[k] = _launcher(request, _the_held(request).arguments)
            launches[k]()
            torch.cuda.synchronize()
    assert _held is not None
    with _translated_errors():
        times = dict(zip(launches, _held.clock.interleave(list(launches.values())), strict=True)) if launches else {}
    return [times.get(k) for k in range(len(requests))]


def _the_held(request: dict[str, Any]) -> _Held:
    if _held is None or _held.path != request["launch"]["arguments"]:
        raise RuntimeError("the arguments of this candidate are not loaded")
    return _held


def _check(held: _Held) -> None:
    for position, output in held.arguments.outputs().items():
        reference = held.reference.get(position)
        if reference is None or reference.shape != output.shape or reference.dtype != output.dtype:
            continue  # a config that splits its work allocates other intermediate results
        wrong = mismatch(output, reference)
        if wrong:
            if not held.arguments.intact():
                raise DeviceFault(f"it wrote outside its outputs; output {position}: {wrong}")
            raise WrongResult(f"output {position}: {wrong}")
    if not held.arguments.intact():
        raise DeviceFault("it wrote to tensors that the kernel does not write")


def _launcher(request: dict[str, Any], arguments: Arguments) -> Any:
    """Loads a compiled candidate; calling the result queues one launch."""
    compiled = compiled_kernel(request)
    run, function, metadata = compiled.run, compiled.function, compiled.packed_metadata
    launch = request["launch"]
    x, y, z = (*launch["grid"], 1, 1)[:3]
    tensors = arguments.values
    values = [v.data_ptr() if isinstance(v, torch.Tensor) else v for v in tensors]
    if launch["descriptors"]:
        from triton.tools.tensor_descriptor import TensorDescriptor

        values += [
            make_descriptor(TensorDescriptor, tensors[at], dims, block) for at, dims, block in launch["descriptors"]
        ]
    stream = torch.cuda.current_stream().cuda_stream

    def once() -> None:
        if x and y and z:
            run(x, y, z, stream, function, metadata, None, None, None, *values)

    return once


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Errors of Triton and CUDA as those of the tuner."""
    try:
        yield
    except CandidateError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
        if isinstance(error, torch.OutOfMemoryError) or type(error).__name__ == "OutOfResources":
            raise LaunchError(text) from error
        lowered = text.lower()
        if any(word in lowered for word in _STICKY) or not _alive():
            raise DeviceFault(text) from error
        raise LaunchError(text) from error


def _alive() -> bool:
    """Whether the device still answers: errors such as illegal accesses stay until the process ends."""
    try:
        torch.cuda.synchronize()
        torch.zeros(1, device=_device).item()
    except Exception:
        return False
    return True
