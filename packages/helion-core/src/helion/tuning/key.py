"""What a result of tuning depends on: the key it is kept under."""

from __future__ import annotations

import ast
import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from helion_autotune import CacheKey
from helion_autotune.points import digest

from .. import exc
from ..frontend.source import function_source
from ..version import version

if TYPE_CHECKING:
    from ..runtime.specialization import Specialization
    from ..runtime.targets import Target

_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)  # these name the user's file and line
_PLAIN = (bool, int, float, str)
SETTINGS = (
    "static_shapes", "index_dtype", "dot_precision", "fast_math", "allow_warp_specialize", "persistent_reserved_sms",
)  # fmt: skip


def cache_key(bound: Specialization, args: Sequence[Any], target: Target, search: dict[str, Any]) -> CacheKey:
    """The key of a search described by `search` (effort, pinned keys) for `bound` with `args`.

    Parts: `source` (kernel and the functions it calls), `values` (plain ones that they capture), `code` (what is
    generated for the default config, so whatever else decides the code counts, too), `settings`, `versions`, `target`,
    `device`, `arguments` (exact, or in buckets with static_shapes=False).
    """
    functions = _functions(bound)
    generated = bound.generate(bound.spec_for(target).default(), target)
    settings = dataclasses.asdict(bound.kernel.settings)
    parts = {
        "source": digest([_source_text(f) for f in functions]),
        "values": _captured_values(functions),
        "code": digest([_COMMENT.sub("", generated.kernel_source), ast.unparse(generated.host)]),
        "settings": {name: settings[name] for name in SETTINGS},
        "versions": versions(),
        "target": target.name,
        "device": device_name(bound.device),
        "arguments": [described(a, bound.kernel.settings.static_shapes) for a in tree_leaves(list(args))],
        "search": search,
    }
    return CacheKey(bound.kernel.name, parts)


def versions() -> dict[str, str]:
    """Versions of what decides the code."""
    import triton

    return {"helion": version(), "triton": triton.__version__, "torch": torch.__version__}


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _functions(bound: Specialization) -> list[FunctionType]:
    """The kernel and the functions that were traced into it, in a fixed order."""
    others = {f.__qualname__: f for f in bound.traced.functions}
    return [bound.kernel.fn, *(others[name] for name in sorted(others))]


def _source_text(function: FunctionType) -> str:
    """The definition without comments, layout and decorators; bytecode where there is no source."""
    try:
        node = function_source(function).node
    except exc.Base:
        return repr(_code(function.__code__))
    decorators, node.decorator_list = node.decorator_list, []
    try:
        return ast.unparse(node)
    finally:
        node.decorator_list = decorators


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code.hex(), constants, code.co_names, code.co_varnames


def _captured_values(functions: Iterable[FunctionType]) -> dict[str, Any]:
    """Plain globals and closure variables that the functions name."""
    found: dict[str, Any] = {}
    for function in functions:
        for name in sorted(_names(function.__code__)):
            if isinstance(function.__globals__.get(name), _PLAIN):
                found[name] = _json(function.__globals__[name])
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            if isinstance(value, _PLAIN):
                found[name] = _json(value)
    return found


def _names(code: CodeType) -> set[str]:
    inner = (_names(c) for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*inner)


def _json(value: Any) -> Any:
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def described(value: Any, exact: bool) -> str:
    """An argument as the key shows it: `bfloat16[8192, 4096]`, with strides where it is not contiguous."""
    if isinstance(value, torch.Tensor):
        sizes = list(value.size()) if exact else [bucket(n) for n in value.size()]
        strides = "" if value.is_contiguous() or not exact else f" strides {list(value.stride())}"
        aligned = "" if value.data_ptr() % 16 == 0 else " unaligned"
        return f"{str(value.dtype).removeprefix('torch.')}{sizes}{strides}{aligned}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return type(value).__name__  # one kernel serves all values; constants are in the code
    return repr(value) if value is None or isinstance(value, (bool, str, torch.dtype)) else type(value).__name__


def bucket(size: int) -> int:
    """The power of two at or above a size."""
    return 1 << max(0, size - 1).bit_length() if size > 0 else 0
