"""Launch functions written for one compiled kernel: its number of arguments, alignments and integer widths fixed.

They call what lies beneath Triton's launcher object, whose arguments differ between versions of Triton; where their
form is not known, or the kernel needs scratch memory, they call the launcher object itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from . import stream
from .descriptors import Mapped

_HEAD = "call({gx}, {gy}, {gz}, stream(index), function, "
# a launch through Triton's object, whatever its version
PLAIN = _HEAD + "metadata, None, None, None, {values})"
# per signature a C function of its own (Triton 3.6)
UNPACKED = _HEAD + "cooperative, dependent, None, None, metadata, None, None, None, {values})"
# one C function for all signatures, which takes the arguments as a tuple (Triton 3.7 to 3.9)
PACKED = _HEAD + "cooperative, dependent, metadata, None, None, None, None, None, annotations, types, ({values},))"


@dataclass(frozen=True)
class Form:
    """What launches a kernel, the text of a call, and what it takes for descriptors."""

    call: Any
    text: str
    maps: tuple[Mapped, ...] = ()


@dataclass(frozen=True)
class Compiled:
    """A kernel loaded on a device. `describe` makes what Triton's launch hooks are given; without a `form` only
    Triton's own object launches it.
    """

    run: Any
    function: int
    metadata: Any
    index: int
    describe: Callable[..., Any]
    form: Form | None


@dataclass(frozen=True)
class Shape:
    """What a launch function is written for: which pointers are multiples of 16 bytes, which numbers are integers
    (None: a float) and need 64 bits, how many axes the grid has, names of launch options.
    """

    aligned: tuple[bool, ...]
    wide: tuple[bool | None, ...]
    axes: int
    options: tuple[str, ...]


def form(run: Any) -> Form:
    """How a kernel without descriptors is launched."""
    text = beneath(run)
    return Form(run, PLAIN) if text is PLAIN or isinstance(run.launch, FunctionType) else Form(run.launch, text)


def beneath(run: Any) -> str:
    """How the launcher object `run` calls what lies beneath it; `PLAIN` where that is not known."""
    needs_scratch = any(getattr(run, name, 1) for name in ("global_scratch_size", "profile_scratch_size"))
    known = type(run).__module__ == "triton.backends.nvidia.driver" and callable(getattr(run, "launch", None))
    if not known or needs_scratch or getattr(run, "gsan_enabled", False):  # a sanitizer has arguments of its own
        return PLAIN
    parameters = _parameters(type(run))
    if hasattr(run, "arg_annotations") and hasattr(run, "kernel_signature") and parameters == _PACKED_PARAMETERS:
        return PACKED
    return UNPACKED if not hasattr(run, "arg_annotations") and parameters == _UNPACKED_PARAMETERS else PLAIN


_UNPACKED_PARAMETERS = ("self", "gridX", "gridY", "gridZ", "stream", "function")
_PACKED_PARAMETERS = (
    *_UNPACKED_PARAMETERS, "kernel_metadata", "launch_metadata", "launch_enter_hook", "launch_exit_hook",
)  # fmt: skip


@functools.cache
def _parameters(kind: type) -> tuple[str, ...]:
    code = kind.__call__.__code__  # type: ignore[attr-defined]
    return tuple(code.co_varnames[: code.co_argcount])


def launch_function(shape: Shape, compiled: Compiled, otherwise: Callable[..., None]) -> Callable[..., None] | None:
    """A launch of `compiled` for arguments of this shape on the current device; `otherwise` takes all others."""
    form = compiled.form
    if form is None:
        return None
    make = _factory(shape, form.text, tuple(m.of.tensor for m in form.maps), tuple(on_this_device()))
    maps = [m.of_any_layout() for m in form.maps]
    return make(**cells(compiled, form), otherwise=otherwise, maps=maps)  # type: ignore[no-any-return]


def cells(compiled: Compiled, form: Form) -> dict[str, Any]:
    """What the names in `call_text`, `on_this_device()` and `NO_HOOKS` mean for `compiled`."""
    from triton import knobs

    run = compiled.run
    return {
        "call": form.call, "function": compiled.function,
        "metadata": compiled.metadata, "index": compiled.index, "stream": stream.current,
        "device": stream.current_device, "hooks": knobs.runtime, "enter": knobs.runtime.launch_enter_hook,
        "exit": knobs.runtime.launch_exit_hook, "cooperative": getattr(run, "launch_cooperative_grid", False),
        "dependent": getattr(run, "launch_pdl", False), "annotations": getattr(run, "arg_annotations", None),
        "types": getattr(run, "kernel_signature", None),
    }  # fmt: skip


NO_HOOKS = " and ".join(f"hooks.launch_{at}_hook is {at} and not {at}.calls" for at in ("enter", "exit"))


def on_this_device() -> list[str]:
    """Conditions under which the device of the kernel is the current one, as the only one always is."""
    return [] if stream.has_one_device() else ["index == device()"]


def call_text(how: str, grid: Sequence[str], values: Sequence[str]) -> str:
    """The call of the C function with pointers and numbers."""
    gx, gy, gz = [*grid, "1", "1"][:3]
    return how.format(gx=gx, gy=gy, gz=gz, values=", ".join(values))


@functools.cache
def _factory(
    shape: Shape, how: str, described: tuple[int, ...], here: tuple[str, ...]
) -> Callable[..., Callable[..., None]]:
    """Makes launch functions. `described`: positions of the tensors that have descriptors; `here`: conditions."""
    tensors = [f"t{k}" for k in range(len(shape.aligned))]
    numbers = [f"n{k}" for k in range(len(shape.wide))]
    pointers = [f"p{k}" for k in range(len(tensors))]
    arguments = ", ".join(["kernel", "grid", *tensors, *numbers])
    keywords = ", ".join(["", "*", *(f"{name}=None" for name in shape.options)]) if shape.options else ""
    passed = "".join(f", {name}={name}" for name in shape.options)
    grid = ["gx", "gy", "gz"][: shape.axes]
    terms = [*fitting(shape, pointers, numbers), "t0.get_device() == index", *here, NO_HOOKS]
    terms += [f"(d{k} := m{k}(p{t}, t{t}.size(), t{t}.stride()))" for k, t in enumerate(described)]
    values = [*pointers, *numbers, *(f"*d{k}" for k in range(len(described)))]
    lines = [
        "def make(call, function, metadata, index, stream, device, otherwise, hooks, enter, exit,",
        "         cooperative, dependent, annotations, types, maps):",
        *(f"    m{k} = maps[{k}]" for k in range(len(described))),
        f"    def launch({arguments}{keywords}):",
        *(f"        {p} = {t}.data_ptr()" for p, t in zip(pointers, tensors, strict=True)),
        f"        if {' and '.join(terms)}:",
        f"            {', '.join(grid)}, = grid",
        f"            if {' and '.join(grid)}:",
        f"                {call_text(how, grid, values)}",
        "        else:",
        f"            otherwise({arguments}{passed})",
        "    return launch",
    ]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    return space["make"]  # type: ignore[no-any-return]


def fitting(shape: Shape, pointers: Sequence[str], numbers: Sequence[str]) -> list[str]:
    """Conditions under which pointers and numbers are of `shape`; what is a numeral need not be asked."""
    aligned = [p for p, yes in zip(pointers, shape.aligned, strict=True) if yes]
    terms = [f"not ({' | '.join(aligned)}) & 15"] if aligned else []
    terms += [f"{p} & 15" for p, yes in zip(pointers, shape.aligned, strict=True) if not yes]
    for number, wide in zip(numbers, shape.wide, strict=True):
        if wide is not None and number.isidentifier():
            terms.append(f"{'not ' if wide else ''}-2147483648 <= {number} < 2147483648")
    return terms
