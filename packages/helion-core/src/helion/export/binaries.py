"""The GPU code of an export: for each target as many variants as calls may need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import exc
from ..runtime.binaries.compile import compile_error, compile_kernel
from ..runtime.launching.signature import signature
from ..runtime.targets import Target

if TYPE_CHECKING:
    from ..emit.module import Generated

# Triton numbers the element types of tensor maps as the device does; the host's numbers differ for three of them.
_HOST_ELEMENT = {8: 10, 9: 8, 10: 9}
_WIDE = 2**40


@dataclass(frozen=True)
class Variant:
    """GPU code that holds where every pointer is a multiple of `alignment` bytes and every int fits in `int_bits`."""

    alignment: int
    int_bits: int
    binary: bytes
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """The stem of its file."""
        return ("aligned" if self.alignment > 1 else "general") + ("_int64" if self.int_bits == 64 else "")


def variants(generated: Generated, target: Target) -> Iterator[Variant]:
    """Compiles `generated` for all calls that there may be, the strongest promises first.

    Raises what `compile_for` does, and `CannotExport` for code that the loader could not launch.
    """
    ints = any(not scalar.is_float for scalar in generated.program.scalars)
    plain = generated.with_pointers() if generated.descriptors else generated
    for alignment in (16, 1):
        for bits in (32, 64) if ints else (32,):
            # descriptors want aligned tensors and offsets of 32 bits
            code = generated if (alignment, bits) == (16, 32) else plain
            yield _compile(code, target, alignment, bits)


def _compile(generated: Generated, target: Target, alignment: int, bits: int) -> Variant:
    program = generated.program
    numbers = [0.0 if s.is_float else (_WIDE if bits == 64 else 0) for s in program.scalars]
    types, aligned = signature(generated, numbers), [alignment > 1] * len(program.tensors)
    try:
        compiled = compile_kernel(
            generated.kernel_source, generated.kernel_name, types, target, generated.options, aligned
        )
    except Exception as error:
        raise compile_error(error, program, target, generated.config) from error
    metadata = compiled.metadata
    _check(program.name, metadata, target)
    return Variant(
        alignment, bits, compiled.asm["cubin" if target.backend == "cuda" else "hsaco"],
        {
            "entry": metadata.name, "threads": metadata.num_warps * target.warp_size, "shared": int(metadata.shared),
            "cooperative": bool(metadata.launch_cooperative_grid), "descriptors": _descriptors(generated, metadata),
        },
    )  # fmt: skip


def _check(kernel: str, metadata: Any, target: Target) -> None:
    """Raises `CannotExport` for what the loader's launch has no place for."""
    wants = {
        "scratch memory": getattr(metadata, "global_scratch_size", 0) or getattr(metadata, "profile_scratch_size", 0),
        "clusters of programs": metadata.num_ctas != 1,
        "programmatic dependent launch": getattr(metadata, "launch_pdl", False),
        f"more than {target.shared_memory} bytes of shared memory": metadata.shared > target.shared_memory,
    }
    for what, wanted in wants.items():
        if wanted:
            raise exc.CannotExport(
                kernel=kernel, reason=f"its code for {target.name} needs {what}", instead="choose another config"
            )


def _descriptors(generated: Generated, metadata: Any) -> list[dict[str, Any]]:
    """How the loader is to make the tensor maps: what Triton decided about them, and of which tensors they are."""
    maps = getattr(metadata, "tensordesc_meta", None) or ()
    if not generated.descriptors:
        return []
    found = []
    for descriptor, decided in zip(generated.descriptors, maps, strict=True):
        assert not decided["fp4_padded"], "no kernel loads packed 4-bit elements through descriptors"
        element = decided["elem_type"]
        found.append({
            "tensor": generated.program.tensors.index(descriptor.tensor),
            "dims": [list(joined) for joined in descriptor.dims],
            "block": list(decided["block_size"]), "swizzle": decided["swizzle"], "itemsize": decided["elem_size"],
            "element": _HOST_ELEMENT.get(element, element),
        })  # fmt: skip
    return found
