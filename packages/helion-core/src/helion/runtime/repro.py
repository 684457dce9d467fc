"""A script that repeats a call: the kernel with what it reads, inputs of the same layout, the chosen config."""

from __future__ import annotations

import dataclasses
import platform
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch

from ..frontend.definitions import Definitions, free_names, literal

if TYPE_CHECKING:
    from .specialization import Specialization

_EXACT = 1024  # integer tensors of at most so many elements keep their values: indices and offsets mean something
_HEADER = '''"""Repeats a call of the kernel `{name}`: random numbers, the same sizes, strides, dtypes and config.

helion {helion}, torch {torch}, triton {triton}, Python {python}, {device}
"""

from __future__ import annotations

import torch

import helion

torch.manual_seed(0)


def made(size, stride, dtype, device, shift=0, low=0, high=1):
    """Random numbers that start `shift` elements into their memory; integers lie between `low` and `high`."""
    count = shift + (1 + sum((n - 1) * s for n, s in zip(size, stride)) if all(size) else 0)
    if dtype.is_floating_point:
        values = torch.randn(count, device=device).to(dtype)
    else:
        values = torch.randint(low, high + 1, (count,), device=device).to(dtype)
    return values.as_strided(size, stride, shift)


'''


def print_repro(bound: Specialization, args: Sequence[Any]) -> None:
    """Prints the script for a call with `args` to stderr."""
    print(repro(bound, args), file=sys.stderr)


def repro(bound: Specialization, args: Sequence[Any]) -> str:
    """The script. What has no text is None in it, with a comment that says what to put there."""
    kernel = bound.kernel
    definitions = Definitions()
    node = kernel.source.node
    decorators, node.decorator_list = node.decorator_list, []
    definitions.add_names(free_names(node) - {"torch", "helion"}, kernel.fn)
    node.decorator_list = decorators
    names = list(kernel._signature.parameters)
    inputs = _Inputs(definitions)
    assigned = [f"    {name} = {inputs.expression(value, name)}\n" for name, value in zip(names, args, strict=True)]
    header = _HEADER.format(
        name=kernel.name, helion=version("helion-core"), torch=version("torch"), triton=version("triton"),
        python=platform.python_version(), device=_device_name(bound.device),
    )  # fmt: skip
    missing = "".join(inputs.missing(name, why) for name, why in definitions.missing.items())
    body = f"@helion.kernel({', '.join(_keywords(bound))})\n{_definition(kernel.source.text)}"
    wait = "    torch.cuda.synchronize()\n" if bound.device.type == "cuda" else ""
    main = f"def main():\n{''.join(assigned)}    {kernel.name}({', '.join(names)})\n{wait}"
    return f"{header}{missing}{definitions.text()}\n\n{body}\n\n{main}\n\nmain()\n"


def _keywords(bound: Specialization) -> list[str]:
    """What the decorator is given: the chosen config, and settings that are not the default."""
    found = [f"config={bound.config!r}"] if bound.config is not None else []
    for field in dataclasses.fields(bound.kernel.settings):
        value = getattr(bound.kernel.settings, field.name)
        default = field.default if field.default is not dataclasses.MISSING else {}
        text = literal(value)
        if value != default and text is not None and field.name != "print_repro":
            found.append(f"{field.name}={text}")
    return found


def _definition(source: str) -> str:
    """The text of a function without its decorators."""
    lines = textwrap.dedent(source).splitlines(keepends=True)
    return "".join(lines[next(k for k, line in enumerate(lines) if line.startswith("def ")) :])


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


class _Inputs:
    """Arguments as expressions; functions among them are defined in `definitions`."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._seen: dict[int, str] = {}

    def expression(self, value: Any, name: str) -> str:
        """`value`, which becomes the variable `name`, as an expression; a tensor that was seen before is its name."""
        if isinstance(value, torch.Tensor):
            return self._seen.get(id(value)) or self._tensor(value, name)
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            items = [self.expression(v, "") for v in value]
            return f"[{', '.join(items)}]" if type(value) is list else f"({', '.join(items)}{',' * (len(items) == 1)})"
        if type(value) is dict:
            pairs = [f"{key!r}: {self.expression(v, '')}" for key, v in value.items()]
            return f"{{{', '.join(pairs)}}}"
        text = literal(value)
        if text is not None:
            return text
        if isinstance(value, FunctionType) or callable(value):
            own = getattr(value, "__name__", "")
            own = own if own.isidentifier() else f"{name}_function"
            self._definitions.add(own, value)
            return own
        return f"None  # a {type(value).__name__}: put it here"

    def _tensor(self, value: torch.Tensor, name: str) -> str:
        if name:
            self._seen[id(value)] = name
        size, stride, dtype, device = list(value.shape), list(value.stride()), value.dtype, repr(str(value.device))
        if not dtype.is_floating_point and value.numel() <= _EXACT and value.is_contiguous() and not value.is_meta:
            return f"torch.tensor({value.tolist()}, dtype={dtype}, device={device}).view({size})"
        offset = 0 if value.is_meta else value.data_ptr() % 16 // dtype.itemsize
        shift = f", shift={offset}" if offset else ""
        limits = ""
        if not dtype.is_floating_point and value.numel() and not value.is_meta:
            limits = f", low={int(value.min())}, high={int(value.max())}"
        return f"made({size}, {stride}, {dtype}, {device}{shift}{limits})"

    def missing(self, name: str, why: str) -> str:
        """A line for a name that has no definition."""
        value = self._definitions.value(name)
        if isinstance(value, torch.Tensor):
            return f"{name} = {self.expression(value, name)}\n"
        return f"{name} = None  # {why}: put it here\n"
