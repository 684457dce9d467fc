"""What Triton's launcher makes of tensor descriptors, found out by having it do so once with stand-ins.

Above the C function of a kernel with descriptors lies a Python function that takes them apart. It is run, over the code
that it is made of, with the C function and the functions of Triton's driver replaced by ones that note what they are
given. Only where all that is noted is as expected are descriptors handed to the C function without it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import CellType, FunctionType, SimpleNamespace
from typing import Any

from .descriptors import Described, Maker, Mapped
from .direct import PLAIN, Form, beneath, call_text

log = logging.getLogger(__name__)
_ENCODERS = ("fill_tma_descriptor", "fill_tma_descriptor_tiled")
_LAUNCHER = "launcher"  # the variable that holds the C function


def form_with_descriptors(run: Any, parameters: int, maker: Maker) -> Form | None:
    """How a kernel with descriptors, which are the last of its parameters, is launched beneath Triton's function.

    None where that does anything unknown, such as for GPUs without a TMA unit, to which descriptors are passed apart.
    """
    text = beneath(run)
    wrapper = getattr(run, "launch", None)
    if text is PLAIN or not isinstance(wrapper, FunctionType) or _LAUNCHER not in wrapper.__code__.co_freevars:
        return None
    others = [object() for _ in range(parameters - len(maker.described))]
    try:
        maps, again = (_maps(wrapper, text, others, maker, start) for start in (3, 1000))
    except Exception as error:  # whatever a function does that is not the one known
        log.debug("descriptors are left to Triton's launcher: %r", error)
        return None
    return Form(_launcher(wrapper), text, maps) if maps == again else None


class _StandIn:
    """A tensor that is not there. No two of its numbers are equal, nor are those of two stand-ins."""

    def __init__(self, described: Described, start: int) -> None:
        inner = described.dims[-1][-1]
        rank = max(max(group) for group in described.dims) + 1
        self.address = start << 20
        self.shape = [start + 2 * d for d in range(rank)]
        self._stride = [1 if d == inner else 16 * (start + 2 * d + 1) for d in range(rank)]

    def data_ptr(self) -> int:
        return self.address

    def stride(self) -> list[int]:
        return self._stride


class _Noting:
    """Functions of any name that note what they are given, and return what is equal to nothing else."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], object]] = []

    def __getattr__(self, name: str) -> Any:
        def noting(*given: Any) -> object:
            self.calls.append((name, given, object()))
            return self.calls[-1][2]

        return noting


def _maps(wrapper: FunctionType, text: str, others: Sequence[object], maker: Maker, start: int) -> tuple[Mapped, ...]:
    """What a launch of `others`, then of stand-ins, shows of descriptors; raises where it is not as known."""
    driver, launcher, expected = _Noting(), _Noting(), _Noting()
    tensors = [_StandIn(d, start + 100 * k) for k, d in enumerate(maker.described)]
    made = [maker.one(d, t) for d, t in zip(maker.described, tensors, strict=True)]
    _launch(text, _noted(wrapper, launcher.launch, driver), [*others, *made])
    maps, passed = [], list(others)
    for described, tensor, (name, given, made_of_it) in zip(maker.described, tensors, driver.calls, strict=True):
        address, *before, sizes, strides, after = given
        mapped = Mapped(described, getattr(_driver(wrapper), name), tuple(before), (after,))
        layout = mapped.numbers(tensor.shape, tensor.stride())
        if name not in _ENCODERS or (address, sizes, strides) != (tensor.address, *layout):
            raise ValueError(f"{name}{given}")
        maps.append(mapped)
        passed += [made_of_it, *sizes, *strides]
    _launch(text, expected.launch, passed)
    if [_flat(given) for _, given, _ in launcher.calls] != [_flat(given) for _, given, _ in expected.calls]:
        raise ValueError(f"{launcher.calls}")
    return tuple(maps)


def _noted(wrapper: FunctionType, launch: Any, driver: _Noting) -> FunctionType:
    """`wrapper` and the functions it is made of, over another C function and another driver."""
    active = SimpleNamespace(utils=driver)
    triton = SimpleNamespace(runtime=SimpleNamespace(driver=SimpleNamespace(active=active)))

    def rebuilt(function: FunctionType) -> FunctionType:
        space = function.__globals__ | ({"triton": triton} if "triton" in function.__globals__ else {})
        for name, value in function.__globals__.items():
            if isinstance(value, FunctionType) and value.__globals__ is function.__globals__:
                space[name] = FunctionType(value.__code__, space, name, value.__defaults__, value.__closure__)
        enclosed = _enclosed(function) | {_LAUNCHER: launch}
        cells = [enclosed[name] for name in function.__code__.co_freevars]
        cells = [CellType(rebuilt(cell) if isinstance(cell, FunctionType) else cell) for cell in cells]
        return FunctionType(function.__code__, space, function.__name__, function.__defaults__, tuple(cells))

    return rebuilt(wrapper)


def _enclosed(function: FunctionType) -> dict[str, Any]:
    """The variables of enclosing functions that `function` uses."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def _driver(wrapper: FunctionType) -> Any:
    """That of the function which calls it: `wrapper`, or from Triton 3.8 on one that it is given."""
    functions = [wrapper, *(value for value in _enclosed(wrapper).values() if isinstance(value, FunctionType))]
    of = next(f for f in functions if "triton" in f.__globals__)
    return of.__globals__["triton"].runtime.driver.active.utils


def _launcher(wrapper: FunctionType) -> Any:
    return _enclosed(wrapper)[_LAUNCHER]


def _launch(text: str, call: Any, values: Sequence[Any]) -> None:
    """A launch as launch functions write it, of which every part is known by its name."""
    code = compile(call_text(text, ["'x'", "'y'", "'z'"], ["*values"]), "<launch>", "eval")
    space: dict[str, Any] = {name: name for name in code.co_names}
    eval(code, space | {"call": call, "stream": lambda index: "stream", "values": values})


def _flat(given: Sequence[Any]) -> list[Any]:
    """Arguments of the C function, whether it takes those of the kernel by themselves or as one sequence."""
    *head, last = given
    return [*head, *last] if isinstance(last, (list, tuple)) else [*head, last]
