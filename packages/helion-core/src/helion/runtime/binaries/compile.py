"""Compiles generated kernels for a named target, with or without that GPU; reports what the compiler made of them."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...locks import LANGUAGE
from ..targets import Target
from . import kept, stored
from .load import load_kernel

if TYPE_CHECKING:
    import torch
    from triton.compiler import ASTSource

    from ... import exc
    from ...ir import Program

# by name: processes that only compile need no torch
_TYPES = {
    "float32": "fp32", "float64": "fp64", "float16": "fp16", "bfloat16": "bf16", "bool": "i1", "int8": "i8",
    "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
    "float8_e4m3fn": "fp8e4nv", "float8_e5m2": "fp8e5",
}  # fmt: skip


@dataclass(frozen=True)
class CompileFacts:
    """What is known of a compiled kernel: registers per thread; spills, shared memory and code size in bytes."""

    target: str
    registers: int
    spills: int
    shared_memory: int
    matrix_instructions: Mapping[str, int]
    code_size: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def signature_type(dtype: torch.dtype) -> str:
    """Triton's name of a pointer to elements of `dtype`."""
    return "*" + _TYPES[str(dtype).removeprefix("torch.")]


def compile_kernel(
    text: str, name: str, signature: Sequence[str], target: Target, options: Mapping[str, Any],
    aligned: Sequence[bool] | None = None, meanwhile: Callable[[ASTSource], None] | None = None,
) -> Any:  # fmt: skip
    """Triton's compiled kernel for `target`, as an earlier process left it where one did.

    `signature`: Triton types of the parameters in order, such as `*bf16` or `i32`; `aligned`: which pointers are
    multiples of 16 bytes (default: all); `meanwhile` is called with the source before it is compiled, if it has to be.
    Raises what Triton raises.
    """
    import triton

    from .source import Source

    function = load_kernel(text, name)
    names = function.arg_names
    pointers = [s.startswith("*") for s in signature]
    hints = aligned if aligned is not None else pointers
    attrs = {(k,): [["tt.divisibility", 16]] for k, p in enumerate(pointers) if p and hints[k]}
    source = Source(function, dict(zip(names, signature, strict=True)), {}, attrs)
    chosen = {"enable_fp_fusion": True, **options} if target.backend == "cuda" else dict(options)
    key = stored.key_for(source, target.triton(), chosen)
    found = stored.load(key, source) if key is not None else None
    if found is None:
        if meanwhile is not None:
            meanwhile(source)
        with LANGUAGE.together():
            found = triton.compile(source, target=target.triton(), options=chosen)
        if key is not None:
            stored.keep(key, found)
    return found


def facts(compiled: Any, target: Target) -> CompileFacts:
    """Reads registers, spills, shared memory, matrix instructions and code size off a compiled kernel."""
    shared = int(compiled.metadata.shared)
    if target.backend == "hip":
        return _amd_facts(compiled.asm, target, shared)
    text, cubin = compiled.asm["ptx"], compiled.asm["cubin"]
    registers, spills = _resource_usage(cubin)
    found = {
        "wgmma": len(re.findall(r"wgmma\.mma_async", text)),
        "mma.sync": len(re.findall(r"mma\.sync", text)),
        "tcgen05": len(re.findall(r"tcgen05\.mma", text)),
        "tma": len(re.findall(r"cp\.async\.bulk", text)),
    }
    return CompileFacts(target.name, registers, spills, shared, {k: n for k, n in found.items() if n}, len(cubin))


def _amd_facts(asm: Mapping[str, Any], target: Target, shared: int) -> CompileFacts:
    text = asm["amdgcn"]

    def number(key: str) -> int:
        found = re.search(rf"\.{key}:\s+(\d+)", text)
        return int(found[1]) if found else 0

    matrix = {"mfma": len(re.findall(r"v_mfma", text))}
    spills = 4 * (number("vgpr_spill_count") + number("sgpr_spill_count"))
    size = len(asm.get("hsaco", b""))
    return CompileFacts(target.name, number("vgpr_count"), spills, shared, {k: n for k, n in matrix.items() if n}, size)


def _resource_usage(cubin: bytes) -> tuple[int, int]:
    """(registers, bytes of stack and local memory per thread), by the disassembler that ships with Triton."""
    key = kept.key_of("resource usage", [hashlib.sha256(cubin).hexdigest()])
    known = kept.read(key)
    if known is not None and isinstance(known.get("registers"), int) and isinstance(known.get("spills"), int):
        return known["registers"], known["spills"]
    found = re.search(r"REG:(\d+) STACK:(\d+).*?LOCAL:(\d+)", _disassembler_says(cubin))
    if found is None:
        return 0, 0
    registers, spills = int(found[1]), int(found[2]) + int(found[3])
    kept.write(key, {"registers": registers, "spills": spills})
    return registers, spills


def _disassembler_says(cubin: bytes) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin", delete=False) as file:
        file.write(cubin)
    try:
        command = [str(tool), "-res-usage", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    finally:
        os.unlink(file.name)


def compile_error(error: Exception, program: Program, target: Target, config: object) -> exc.Base:
    """`error` from Triton as an error of the catalogue, at the author's line where the cause is known."""
    from ... import exc
    from ...lower.limits import unsupported

    known = unsupported(program, target)
    if known is not None:
        return known
    return exc.CompilationFailed(kernel=program.name, target=target.name, config=config, reason=reason_of(error))


def reason_of(error: Exception) -> str:
    """The line of Triton's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    assembler = [re.match(r"ptxas\b.*?\b(?:fatal|error)\s*:\s*(.+)", line) for line in lines]
    said = next((found[1] for found in assembler if found), None)
    if said is not None:
        return f"ptxas: {said}"
    # Triton shows "at line:column:", the lines before it and a caret, and says only then what is wrong
    return lines[-1] if re.match(r"at \d+:\d+:", lines[0]) else lines[0]
