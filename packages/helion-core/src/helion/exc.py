"""The catalogue of errors: one class per mistake, each with a stable code, what was found and what to write instead.

Every class derives from `Base`. `message` and `hint` are templates filled with the keyword arguments of the
constructor. Every error carries a `Location`: where none is given, that of the user's code which runs. It is shown with
the source line and a caret.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import ClassVar

from .location import Location, here


class Base(RuntimeError):
    """Root of all errors that Helion raises on purpose."""

    code: ClassVar[str] = "HLN000"
    message: ClassVar[str] = "{text}"
    hint: ClassVar[str] = ""

    def __init__(self, *, location: Location | None = None, **fields: object) -> None:
        self.location = here() if location is None else location
        self.fields = fields
        super().__init__(self.render())

    def render(self) -> str:
        """The whole text: code, message, place with a caret, help."""
        parts = [f"[{self.code}] {self.message.format(**self.fields)}"]
        if self.location is not None:
            parts.append(self.location.show())
        if self.hint:
            parts.append("  help: " + self.hint.format(**self.fields))
        return "\n".join(parts)

    def reworded(self, change: Callable[[str], str]) -> Base:
        """This error with `change` applied to the texts that it was given."""
        self.fields = {name: change(value) if isinstance(value, str) else value for name, value in self.fields.items()}
        self.args = (self.render(),)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.location, self.fields)


def _rebuild(cls: type[Base], location: Location | None, fields: dict[str, object]) -> Base:
    return cls(location=location, **fields)


# --- the kernel function (HLN0xx) ---------------------------------------------------------------------------------


class InvalidKernelSignature(Base):
    code = "HLN001"
    message = "kernel `{name}` has the parameter `{parameter}`: {kind} parameters are not supported"
    hint = "{instead}"


class SourceUnavailable(Base):
    code = "HLN002"
    message = "the source of `{name}` cannot be read ({reason})"
    hint = "define the kernel with `def` in a file or a notebook cell; exec and the plain REPL keep no source"


class UnsupportedSyntax(Base):
    code = "HLN003"
    message = "{what} is not supported in a kernel"
    hint = "{instead}"


class NoTensorArgs(Base):
    code = "HLN004"
    message = "kernel `{name}` was called without any tensor, so its device is unknown"
    hint = "pass at least one tensor (a torch.device argument also decides the device)"


class NestedKernelCallsNotSupported(Base):
    code = "HLN005"
    message = "kernel `{name}` was called from inside another kernel"
    hint = "call a plain function instead (it is inlined), or call the two kernels one after the other"


class NotInsideKernel(Base):
    code = "HLN006"
    message = "`{name}` was called outside {region}"
    hint = "call it inside {inside}"


class NoDeviceLoop(Base):
    code = "HLN007"
    message = "kernel `{name}` has no tile loop, so there is nothing to compile"
    hint = "write the device code inside `for tile in hl.tile(...)`"


class DeviceLoopInHostControlFlow(Base):
    code = "HLN008"
    message = "a tile loop stands under a host `{statement}`"
    hint = "put the tile loop at the top level of the kernel and move the `{statement}` inside it or into the caller"


class LoopFunctionNotInFor(Base):
    code = "HLN009"
    message = "`{name}` must be iterated by a `for` statement"
    hint = "write `for tile in {name}(...):`"


class DeviceLoopWithoutEffect(Base):
    code = "HLN010"
    message = "this tile loop stores nothing, so it has no effect"
    hint = "store a result: `out[tile] = ...`"


class LoopDependencyError(Base):
    code = "HLN011"
    message = "this loop reads `{name}`, which an earlier tile loop of the same kernel wrote"
    hint = "put hl.barrier() between the two loops, or split them into two kernels"


class HostCodeBetweenLoops(Base):
    code = "HLN018"
    message = (
        "this host code {does} `{name}`, which the tile loop above it {loop}: it runs before the whole kernel does"
    )
    hint = "{instead}"


class UnsupportedArgument(Base):
    code = "HLN012"
    message = "argument `{name}` of type {type} is not supported"
    hint = "pass {instead}"


class WrongArguments(Base):
    code = "HLN013"
    message = "kernel `{name}`: {problem}"
    hint = "{instead}"


class UnsupportedDevice(Base):
    code = "HLN014"
    message = "tensors on `{device}` cannot be used by a kernel"
    hint = "move them to a GPU, or to the CPU to run through Triton's interpreter"


class DeviceMismatch(Base):
    code = "HLN015"
    message = "kernel `{name}` was given tensors on different devices: {devices}"
    hint = "move all of them to one device"


class HostDataNeeded(Base):
    code = "HLN016"
    message = "the host code of a kernel needs the data of a tensor here ({op})"
    hint = (
        "the host code is traced with shapes and dtypes only: compute the number before the call and pass it "
        "as an argument, or compute it inside the tile loop"
    )


class UnsupportedTensor(Base):
    code = "HLN017"
    message = "argument `{name}` is a {what} tensor, which a kernel cannot address"
    hint = "pass {instead}"


# --- tiles, shapes and memory (HLN1xx) --------------------------------------------------------------------------------


class TileSizeMismatch(Base):
    code = "HLN101"
    message = "`{tile}` runs to {end}, but it indexes dimension {dim} of `{tensor}`, whose size is {size}"
    hint = "the two sizes must agree; check the shapes of the arguments (`{tensor}` has shape {shape})"


class DimensionOutOfRange(Base):
    code = "HLN114"
    message = "{op}: there is no dimension {dim} in a value of {rank}"
    hint = "use a dimension from {low} to {high}"


class ShapeMismatch(Base):
    code = "HLN102"
    message = "{op}: shapes {left} and {right} do not {relation}{detail}"
    hint = "{help}"


class RankMismatch(Base):
    code = "HLN103"
    message = "`{tensor}` has {rank} but is indexed by {given}"
    hint = "give at most one index per dimension"


class InvalidIndexing(Base):
    code = "HLN104"
    message = "{what} cannot be used as an index"
    hint = "{instead}"


class InvalidArgument(Base):
    code = "HLN115"
    message = "{what} is not accepted here"
    hint = "{instead}"


class HostTensorDirectUsage(Base):
    code = "HLN105"
    message = "the whole host tensor `{name}` of shape {shape} is used in device code by {op}"
    hint = "load a tile of it first: `{name}[{example}]`"


class DeviceTensorSubscriptAssignment(Base):
    code = "HLN106"
    message = "a tile value cannot be assigned by subscript"
    hint = "build the new value with torch.where, or store to a host tensor"


class ShapeSpecializingAllocation(Base):
    code = "HLN107"
    message = "the shape or value of a device expression ({expr}) is needed as a Python number"
    hint = "{instead}"


class DataDependentShape(Base):
    code = "HLN108"
    message = "{op} has a result whose shape depends on the data"
    hint = "compute a mask and use torch.where, or do it on the host"


class UnsupportedReshape(Base):
    code = "HLN109"
    message = "{op} of shape {source} to {target} would mix padded and real elements"
    hint = (
        "only the leading factor of a merged or split dimension may be padded: "
        "tile with a power of two, or keep the dimension apart"
    )


class ReadOnlyCapture(Base):
    code = "HLN110"
    message = "`{name}` is not a tensor that can be stored to"
    hint = "store to a tensor allocated on the host or passed as an argument"


class StaleValue(Base):
    code = "HLN111"
    message = "a value is used outside the loop or branch that computed it"
    hint = "carry it by a variable assigned before the loop, or move the use inside"


class OutOfRangeIndex(Base):
    code = "HLN112"
    message = "index {index} is out of range for dimension {dim} of `{tensor}`, whose size is {size}"
    hint = "use an index from {low} to {high}"


class MutatedAlias(Base):
    code = "HLN113"
    message = "this value was changed in place through another name"
    hint = "write `new = old + x` instead of an in-place operation, or make a copy first with .clone()"


class HostTensorChanged(Base):
    code = "HLN116"
    message = "the whole host tensor `{name}` of shape {shape} is changed in place in device code by {op}"
    hint = (
        "store to its elements, `{name}[{index}] = ...`, "
        "or combine what several programs give: hl.atomic_add({name}, [{listed}], value)"
    )


class LostUpdate(Base):
    code = "HLN117"
    message = "this in-place operation changes a tile that was loaded from `{name}`, and nothing uses the result"
    hint = "a loaded tile is a copy: store what is computed, `{name}[...] = ...`"


# --- control flow and Python in device code (HLN2xx) ------------------------------------------------------------------


class ControlFlowTensorMismatch(Base):
    code = "HLN201"
    message = "{where} `{name}` is {before} and {after}"
    hint = "make the two agree{suggestion}"


class UndefinedVariable(Base):
    code = "HLN202"
    message = "`{name}` may be used before it has a value: it is assigned only inside a loop or a branch"
    hint = "assign `{name}` before the loop or branch"


class LeftTileLoop(UndefinedVariable):
    code = "HLN210"
    message = "`{name}` has no value on the host: it is assigned in a tile loop above, which runs on the device"
    hint = (
        "store it to a tensor inside the loop, `out[tile] = {name}`, "
        "or combine it over the tiles with hl.atomic_add(out, [...], {name})"
    )


class DeviceControlFlow(Base):
    code = "HLN203"
    message = "{statement} is not supported"
    hint = "{instead}"


class DeviceValueAsPython(Base):
    code = "HLN204"
    message = "a device value is needed as a Python {wanted} here ({how})"
    hint = "{instead}"


class VectorCondition(Base):
    code = "HLN205"
    message = "{what} is a tile of shape {shape}, not a scalar"
    hint = "{instead}"


class UnsupportedOperation(Base):
    code = "HLN206"
    message = "{op} is not supported in device code{reason}"
    hint = "{instead}"


class TracingFailed(Base):
    code = "HLN207"
    message = "{op} failed in device code: {reason}"
    hint = "check shapes and dtypes of its operands"


class DtypeMismatch(Base):
    code = "HLN208"
    message = "{op}: {problem}"
    hint = "{instead}"


class UnknownAttribute(Base, AttributeError):
    code = "HLN209"
    message = "{owner} has no attribute `{name}`"
    hint = "{instead}"


# --- configs and compilation (HLN3xx) ---------------------------------------------------------------------------------


class InvalidConfig(Base):
    code = "HLN301"
    message = "config key `{key}`: {problem}"
    hint = "{allowed}"


class InvalidSetting(Base):
    code = "HLN302"
    message = "setting `{key}`: {problem}"
    hint = "{allowed}"


class CompilationFailed(Base):
    code = "HLN303"
    message = "Triton could not compile `{kernel}` for {target} with {config}: {reason}"
    hint = "try another config; HELION_PRINT_OUTPUT_CODE=1 shows the generated code"


class KernelRunFailed(Base):
    code = "HLN304"
    message = "`{kernel}` failed while running with {config}: {reason}"
    hint = "HELION_PRINT_OUTPUT_CODE=1 shows the generated code"


class UnknownTarget(Base):
    code = "HLN305"
    message = "unknown target `{target}`"
    hint = "targets look like sm_80, sm_90, sm_100 or gfx942"


class NoWorkingConfig(Base):
    code = "HLN306"
    message = "none of the configs given to `{kernel}` works: {reason}"
    hint = "leave `configs` out to have one found"


class CacheMissed(Base):
    code = "HLN307"
    message = "no config of `{kernel}` is cached, but HELION_ASSERT_CACHE_HIT is set; {explanation}"
    hint = "tune it once without HELION_ASSERT_CACHE_HIT, or pass config=..."


class OutsideOfTensors(Base):
    code = "HLN308"
    message = "{kernel} {does} outside of {where}: an index is below 0 or beyond the size of its dimension"
    hint = "clamp the index, or leave such elements out: hl.load(x, [i], extra_mask=(i >= 0) & (i < x.size(0)))"


# --- export and the command line (HLN5xx) -----------------------------------------------------------------------------


class CannotExport(Base):
    code = "HLN501"
    message = "`{kernel}` cannot be exported: {reason}"
    hint = "{instead}"


class NotAnExport(Base):
    code = "HLN502"
    message = "`{path}` is there already and holds no exported kernel, so it is not replaced"
    hint = "name a new folder, or remove what is there"


class CommandFailed(Base):
    code = "HLN503"
    message = "{problem}"
    hint = "{instead}"


# --- inside torch programs (HLN6xx) -----------------------------------------------------------------------------------


class NotInGraph(Base):
    code = "HLN601"
    message = "kernel `{name}` cannot be part of a graph of torch's: {problem}"
    hint = "{instead}"


class TransformNotSupported(Base):
    code = "HLN602"
    message = "`{name}` was called under {transform}: {problem}"
    hint = "{instead}"


class InvalidOperator(Base):
    code = "HLN603"
    message = "no operator `{name}` can be registered: {problem}"
    hint = "{instead}"


class SchemaMismatch(Base):
    code = "HLN604"
    message = "operator `{name}` does not do what its schema says: {problem}"
    hint = "{instead}"


class WorkDuringCapture(Base):
    code = "HLN605"
    message = "kernel `{name}` is called for the first time with such arguments while a CUDA graph is captured"
    hint = "call it once with such arguments before the capture: the first call {work}, which no graph can hold"


class InternalError(Base):
    code = "HLN900"
    message = "Helion broke one of its own rules: {text}"
    hint = "this is a defect of Helion; please report it with the kernel"


# --- warnings ---------------------------------------------------------------------------------------------------------


class BaseWarning(UserWarning):
    """Root of all warnings; mute a class, and those derived from it, with `ignore_warnings=[Class or "Name"]`."""

    code: ClassVar[str] = "HLN400"
    message: ClassVar[str] = "{text}"
    hint: ClassVar[str] = ""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        hint = f"\n  help: {self.hint.format(**fields)}" if self.hint else ""
        super().__init__(f"[{self.code}] {self.message.format(**fields)}{hint}")


class GradientNotTracked(BaseWarning):
    code = "HLN401"
    message = "argument `{name}` of kernel `{kernel}` requires a gradient, but a kernel records none"
    hint = "call it from a torch.autograd.Function with a backward kernel, or under torch.no_grad()"


class ManySpecializations(BaseWarning):
    code = "HLN402"
    message = "kernel `{kernel}` has been compiled for {count} signatures of its arguments"
    hint = "@helion.kernel(static_shapes=False) compiles one for all sizes; pass changing numbers as plain arguments"


class StoreRace(BaseWarning):
    code = "HLN403"
    message = "programs of kernel `{kernel}` that differ in {names} {does}"
    hint = (
        "combine them with hl.atomic_add (or atomic_max, ...), or go through `{inner}` inside one program, with "
        "`for {inner} in {loop}(...):` below the outermost loop, or give it one tile: hl.tile(n, block_size=n)"
    )


class Misspelt(BaseWarning):
    code = "HLN404"
    message = "the environment variable {variable} {problem}"
    hint = "{instead}"


def warn(warning: BaseWarning, ignored: Iterable[type[BaseWarning] | str], place: Location | None = None) -> None:
    """Issues `warning` at the user's line, or at `place`, unless its class or a base of it is `ignored`."""
    names = {entry if isinstance(entry, str) else entry.__name__ for entry in ignored}
    if names.isdisjoint(cls.__name__ for cls in type(warning).__mro__):
        place = place or here() or Location("<unknown>", 0)
        warnings.warn_explicit(warning, None, place.filename, place.line)


def warning_names() -> dict[str, type[BaseWarning]]:
    """Every class of warning, by name."""
    found: dict[str, type[BaseWarning]] = {}
    waiting: list[type[BaseWarning]] = [BaseWarning]
    while waiting:
        cls = waiting.pop()
        found[cls.__name__] = cls
        waiting += cls.__subclasses__()
    return found
