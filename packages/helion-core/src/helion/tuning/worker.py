"""Compiling one candidate in a worker process. Imports Triton and a few small modules: no torch, no user script.

Triton keeps what it compiles in its directory on disk under a hash of source, types, target and options. The process
that measures and the one that finally calls the kernel compile by the same function, so they find it there.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from typing import Any

from helion_autotune.errors import CompileError

from ..runtime.binaries.compile import compile_kernel, facts, reason_of
from ..runtime.targets import parse_target

_LONGEST_REASON = 500
_DEBUG_LINE = re.compile(r"^\s*(\.loc|\.file|\$L__tmp\d+:|//).*$", re.MULTILINE)
_COMMENT = re.compile(r"\s*//.*$", re.MULTILINE)
_LAUNCH_METADATA = (
    "num_warps", "num_ctas", "shared", "maxnreg", "launch_cooperative_grid", "launch_pdl", "global_scratch_size",
    "tmem_size",
)  # fmt: skip


def warm() -> None:
    """Imports what the first candidate would wait for."""
    import triton  # noqa: F401

    from ..runtime.binaries.source import Source  # noqa: F401


def compiled_kernel(payload: dict[str, Any]) -> Any:
    """Triton's compiled kernel of a candidate (see `Problem.payload`), from its cache where it was compiled before."""
    target = parse_target(payload["target"])
    return compile_kernel(
        payload["source"], payload["name"], payload["signature"], target, payload["options"], payload["aligned"]
    )


def compile(payload: dict[str, Any]) -> dict[str, Any]:
    """Compiles a candidate.

    Gives `{"binary": hash of code and launch, "facts": {registers, spills, shared_memory in bytes, …}}`. Raises
    `CompileError` with Triton's reason.
    """
    try:
        compiled = compiled_kernel(payload)
        found = facts(compiled, parse_target(payload["target"]))
    except Exception as error:
        raise CompileError(_reason(error)) from error
    return {"binary": _binary(compiled, payload), "facts": found.to_dict()}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {reason_of(error)}"[:_LONGEST_REASON]


def _binary(compiled: Any, payload: dict[str, Any]) -> str:
    """A hash of the machine code without what is only for debuggers, and of how it is launched."""
    assembly = compiled.asm.get("ptx") or compiled.asm.get("amdgcn") or ""
    metadata = {name: getattr(compiled.metadata, name, None) for name in _LAUNCH_METADATA}
    parts = [
        _plain_code(assembly),
        json.dumps(metadata, sort_keys=True, default=str),
        json.dumps(payload.get("launch")),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _plain_code(assembly: str) -> str:
    code = re.split(r"^\s*\.section\s+\.debug", assembly, maxsplit=1, flags=re.MULTILINE)[0]
    return _COMMENT.sub("", _DEBUG_LINE.sub("", code))


def loaded_modules() -> list[str]:
    """The names of the modules that this process has imported."""
    return sorted(sys.modules)
