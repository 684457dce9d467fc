"""Runs an exported kernel. This file is copied into each export; it needs Python and torch, and nothing else.

    from exported import matmul                 # the folder as a package, or
    matmul = load("path/to/exported")           # from this file

`python loader.py` checks the files of the export it stands in and tells what they hold.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import inspect
import json
import math
import struct
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import torch

FORMAT, SCHEMA, MANIFEST = "helion-export", 2, "manifest.json"
LIBRARIES = {"cuda": "libcuda.so.1", "hip": "libamdhip64.so"}
INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


class ExportError(RuntimeError):
    """Root of the errors of exported kernels."""


class DamagedExport(ExportError):
    """A file of the export is missing, altered or cut short."""


class WrongArgument(ExportError, TypeError):
    """A call does not fit what was exported."""


class NoTarget(ExportError):
    """The export holds no code for the device of the arguments."""


class DriverError(ExportError):
    """The driver of the GPU refused a call."""


# --- the files


def load(folder: str | Path) -> Exported:
    """The kernel exported to `folder`, all of whose files are checked first. Raises `DamagedExport`."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = {}
    for name, expected in manifest["files"].items():
        content = _read(folder / name)
        if len(content) != expected["bytes"]:
            raise DamagedExport(f"{folder / name} has {len(content)} bytes instead of {expected['bytes']}")
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise DamagedExport(f"{folder / name} was changed since the export: its checksum differs")
        files[name] = content
    return Exported(folder, manifest, files)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The metadata of an export. Raises `DamagedExport`."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(_read(path))
    except ValueError as error:
        raise DamagedExport(f"{path} is not JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DamagedExport(f"{path} does not describe an exported kernel")
    if manifest.get("schema") != SCHEMA:
        raise DamagedExport(f"{path} has schema {manifest.get('schema')}; this loader reads {SCHEMA}")
    if manifest.get("sha256") != manifest_digest(manifest):
        raise DamagedExport(f"{path} was changed since the export: its checksum differs")
    return manifest


def manifest_digest(manifest: dict[str, Any]) -> str:
    """The checksum that a manifest holds of itself."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedExport(f"{path} cannot be read: {error.strerror or error}") from None


# --- calls


class Exported:
    """An exported kernel; call it like the original. `manifest`: what was exported."""

    def __init__(self, folder: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        self.folder, self.manifest, self.__name__ = folder, manifest, manifest["kernel"]
        self._files = files
        self._specs = manifest["arguments"]
        self._hosts: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<exported kernel {self.__name__} for {', '.join(self.manifest['targets'])}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(self._specs):
            args = self._placed(args, kwargs)
        device: list[torch.Tensor] = []
        for spec, value in zip(self._specs, args, strict=True):
            check(spec, value, device)
        index = device_index(device[0])
        host = self._hosts.get(index) or self._host(index)
        return host(*args)

    def _placed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments in order, with the defaults of the original."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [
            inspect.Parameter(s["argument"], kind, default=s.get("default", inspect.Parameter.empty))
            for s in self._specs
        ]
        try:
            bound = inspect.Signature(parameters).bind(*args, **kwargs)
        except TypeError as error:
            raise WrongArgument(f"{self.__name__}: {error}") from None
        bound.apply_defaults()
        return bound.args

    def _host(self, index: int) -> Any:
        """The host function for a device, its GPU code loaded when it is first launched."""
        with self._lock:
            if index not in self._hosts:
                name = choose_target(device_target(index), self.manifest["targets"])
                target = self.manifest["targets"][name]
                text = self._files[target["host"]].decode()
                namespace: dict[str, Any] = {
                    "__name__": f"helion_exported_{self.__name__}", "_kernel": None,
                    "_launch": Launcher(self, target, index), "_multiprocessors": lambda tensor: multiprocessors(index),
                }  # fmt: skip
                exec(compile(text, str(self.folder / target["host"]), "exec"), namespace)
                self._hosts[index] = _guarded(namespace[self.__name__], namespace["_holds"], target, self.__name__)
            return self._hosts[index]

    def binary(self, name: str) -> bytes:
        """The content of a file of the export, as it was when it was checked."""
        return self._files[name]


def _guarded(host: Any, holds: Any, target: dict[str, Any], name: str) -> Any:
    """`host` behind the conditions under which it was traced."""
    if not target["conditions"]:
        return host

    def call(*args: Any) -> Any:
        if not holds(*args):
            raise WrongArgument(f"{name} was exported for calls with {' and '.join(target['conditions'])}")
        return host(*args)

    return call


def check(spec: dict[str, Any], value: Any, device: list[torch.Tensor]) -> None:
    """Raises `WrongArgument` unless `value` is as `spec` says; `device` collects the tensors, all of one device."""
    kind, name = spec["kind"], spec["argument"]
    if kind == "tensor":
        _check_tensor(spec, value, device)
    elif kind == "list":
        if type(value).__name__ != spec["type"] or len(value) != len(spec["items"]):
            raise WrongArgument(f"`{name}` must be a {spec['type']} of {len(spec['items'])}, not {_shown(value)}")
        for inner, item in zip(spec["items"], value, strict=True):
            check(inner, item, device)
    elif kind == "dict":
        if type(value) is not dict or list(value) != list(spec["items"]):
            raise WrongArgument(f"`{name}` must be a dict of {list(spec['items'])}, not {_shown(value)}")
        for key, inner in spec["items"].items():
            check(inner, value[key], device)
    elif kind == "constant":
        if _text(value) != spec["value"]:
            raise WrongArgument(f"`{name}` was exported as {spec['value']}, not {_shown(value)}")
    elif type(value).__name__ != kind:
        raise WrongArgument(f"`{name}` must be a {kind}, not {_shown(value)}")


def _check_tensor(spec: dict[str, Any], value: Any, device: list[torch.Tensor]) -> None:
    name = spec["argument"]
    if not isinstance(value, torch.Tensor):
        raise WrongArgument(f"`{name}` must be a tensor, not {_shown(value)}")
    if value.dtype is not dtype_named(spec["dtype"]):
        raise WrongArgument(f"`{name}` must have dtype {spec['dtype']}, not {value.dtype}")
    if not fits(spec["shape"], spec["strides"], value):
        raise WrongArgument(
            f"`{name}` must have shape {spec['shape']} and strides {spec['strides']}, "
            f"not {list(value.shape)} and {list(value.stride())} (None: any)"
        )
    device.append(value)
    if device_index(value) != device_index(device[0]):
        raise WrongArgument(f"`{name}` is on {value.device}, other arguments are on {device[0].device}")


@functools.cache
def dtype_named(name: str) -> torch.dtype:
    """`torch.float16` from its text."""
    return getattr(torch, name.removeprefix("torch."))


def fits(shape: list[int | None], strides: list[int | None], tensor: torch.Tensor) -> bool:
    """Whether sizes and strides are those; the stride of a dimension of size 1 or less does not matter."""
    if list(tensor.shape) == shape and list(tensor.stride()) == strides:
        return True
    return len(shape) == tensor.dim() and all(
        (size is None or size == s) and (stride is None or stride == t or s <= 1)
        for size, stride, s, t in zip(shape, strides, tensor.shape, tensor.stride(), strict=True)
    )


def _shown(value: Any) -> str:
    return f"{value!r:.80}" if not isinstance(value, torch.Tensor) else f"a tensor of shape {list(value.shape)}"


def _text(value: Any) -> str:
    return str(value) if isinstance(value, (torch.dtype, torch.device)) else repr(value)


# --- launches


class Launcher:
    """Launches the kernel of one target on one device."""

    def __init__(self, exported: Exported, target: dict[str, Any], index: int) -> None:
        self._exported, self._target, self._index = exported, target, index
        self._tensors = [p for p in target["parameters"] if p["kind"] == "tensor"]
        self._numbers = [p for p in target["parameters"] if p["kind"] != "tensor"]
        self._driver = driver(target["backend"])
        self._functions: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        if 0 in grid:
            return
        tensors, numbers = args[: len(self._tensors)], args[len(self._tensors) :]
        for spec, tensor in zip(self._tensors, tensors, strict=True):
            if tensor.dtype is not dtype_named(spec["dtype"]) or not fits(spec["shape"], spec["strides"], tensor):
                raise WrongArgument(
                    f"the kernel was compiled for `{spec['name']}` of {spec['dtype']}, shape {spec['shape']}, strides "
                    f"{spec['strides']}, but is launched with {tensor.dtype}, {list(tensor.shape)}, "
                    f"{list(tensor.stride())}"
                )
        variant = choose_variant(self._target["variants"], self._numbers, tensors, numbers)
        with device_context(self._index):
            self._driver.ensure_context(self._index)
            function = self._functions.get(variant["file"]) or self._load(variant)
            block = pack(self._driver, variant, self._numbers, tensors, numbers)
            x, y, z = (*grid, 1, 1)[:3]
            self._driver.launch(function, (x, y, z), variant, current_stream(self._index), block)

    def _load(self, variant: dict[str, Any]) -> int:
        with self._lock:
            found = self._functions.get(variant["file"])
            if found is None:
                image = self._exported.binary(variant["file"])
                found = self._functions[variant["file"]] = self._driver.load(image, variant["entry"], variant["shared"])
            return found


def choose_variant(variants: list[dict[str, Any]], numbers: list[Any], tensors: Any, values: Any) -> dict[str, Any]:
    """The first variant whose promises the arguments keep: those with the strongest promises come first."""
    aligned = all(t.data_ptr() % 16 == 0 for t in tensors)
    ints = [v for spec, v in zip(numbers, values, strict=True) if spec["kind"] == "int"]
    narrow = all(v in INT32 for v in ints)
    for variant in variants:
        keeps = (aligned or variant["alignment"] == 1) and (narrow or variant["int_bits"] == 64)
        if keeps and all(_describable(tensors[d["tensor"]], d) for d in variant["descriptors"]):
            return variant
    raise WrongArgument(f"no variant serves the numbers {ints}")


def _describable(tensor: Any, descriptor: dict[str, Any]) -> bool:
    """Whether a descriptor can name the tensor: not empty, and every step but the innermost a multiple of 16 bytes."""
    *outer, inner = _joined(tensor, descriptor)[1]
    steps = all(stride > 0 and stride * tensor.element_size() % 16 == 0 for stride in outer)
    return bool(tensor.numel()) and inner == 1 and steps


def _joined(tensor: Any, descriptor: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Sizes and strides of the descriptor, each of whose dimensions is one or more of the tensor's."""
    dims = descriptor["dims"]
    sizes = [math.prod(tensor.size(d) for d in joined) for joined in dims]
    return sizes, [tensor.stride(joined[-1]) for joined in dims]


class Block:
    """The arguments of one launch in memory, each at its offset; `pointers`: what the driver takes."""

    def __init__(self, parts: list[tuple[bytes, int]]) -> None:
        offsets, end = [], 0
        for content, alignment in parts:
            start = -(-end // alignment) * alignment
            offsets.append(start)
            end = start + len(content)
        self._memory = ctypes.create_string_buffer(end + 64)
        base = -(-ctypes.addressof(self._memory) // 64) * 64
        for (content, _), offset in zip(parts, offsets, strict=True):
            ctypes.memmove(base + offset, content, len(content))
        self.pointers = (ctypes.c_void_p * len(parts))(*[base + offset for offset in offsets])


def pack(driver: Driver, variant: dict[str, Any], specs: list[Any], tensors: Any, numbers: Any) -> Block:
    """Pointers, numbers and descriptors in the order of the kernel's parameters, then two scratch pointers (unused)."""
    integer = "<i" if variant["int_bits"] == 32 else "<q"
    parts = [(struct.pack("<Q", t.data_ptr()), 8) for t in tensors]
    for spec, value in zip(specs, numbers, strict=True):
        text = "<f" if spec["kind"] == "float" else integer
        parts.append((struct.pack(text, value), struct.calcsize(text)))
    for d in variant["descriptors"]:
        tensor = tensors[d["tensor"]]
        sizes, strides = _joined(tensor, d)
        parts.append((driver.tensor_map(tensor.data_ptr(), d, sizes, strides), 64))
        parts += [(struct.pack("<i", size), 4) for size in sizes]
        parts += [(struct.pack("<q", stride), 8) for stride in strides]
    return Block([*parts, (bytes(8), 8), (bytes(8), 8)])


# --- the driver


class Driver:
    """The calls of a GPU's driver that loading and launching need, through ctypes."""

    _names: ClassVar = {
        "cuda": ("cuModuleLoadData", "cuModuleGetFunction", "cuLaunchKernel", "cuLaunchCooperativeKernel"),
        "hip": ("hipModuleLoadData", "hipModuleGetFunction", "hipModuleLaunchKernel",
                "hipModuleLaunchCooperativeKernel"),
    }  # fmt: skip
    _SHARED_LIMIT = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _SHARED_WITHOUT_ASKING = 48 * 1024

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._library = _open(LIBRARIES[backend])
        self._load, self._get, self._launch, self._launch_together = (
            getattr(self._library, name) for name in self._names[backend]
        )
        grid = [ctypes.c_uint] * 7
        self._launch.argtypes = [ctypes.c_void_p, *grid, *[ctypes.c_void_p] * 3]
        self._launch_together.argtypes = [ctypes.c_void_p, *grid, *[ctypes.c_void_p] * 2]

    def _check(self, status: int, doing: str) -> None:
        if status:
            raise DriverError(f"{doing} failed: {self._message(status)}")

    def _message(self, status: int) -> str:
        if self._backend == "hip":
            self._library.hipGetErrorString.restype = ctypes.c_char_p
            return f"{self._library.hipGetErrorString(status).decode()} ({status})"
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(status, ctypes.byref(text))
        return f"{(text.value or b'unknown error').decode()} ({status})"

    def ensure_context(self, index: int) -> None:
        """Makes the device's own context current in a thread that has none."""
        if self._backend == "hip":
            return
        context, device = ctypes.c_void_p(), ctypes.c_int()
        self._check(self._library.cuCtxGetCurrent(ctypes.byref(context)), "reading the current context")
        if not context.value:
            self._check(self._library.cuDeviceGet(ctypes.byref(device), index), f"finding device {index}")
            status = self._library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
            self._check(status, f"opening device {index}")
            self._check(self._library.cuCtxSetCurrent(context), f"choosing device {index}")

    def load(self, image: bytes, entry: str, shared: int) -> int:
        """The handle of the kernel `entry`; `shared`: bytes of shared memory that its launches ask for."""
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(self._load(ctypes.byref(module), image), f"loading the code of {entry}")
        self._check(self._get(ctypes.byref(function), module, entry.encode()), f"finding {entry}")
        if self._backend == "cuda" and shared > self._SHARED_WITHOUT_ASKING:
            status = self._library.cuFuncSetAttribute(function, self._SHARED_LIMIT, ctypes.c_int(shared))
            self._check(status, f"asking for {shared} bytes of shared memory")
        assert function.value is not None
        return function.value

    def launch(self, function: int, grid: tuple[int, ...], variant: dict[str, Any], stream: int, block: Block) -> None:
        """Launches; the driver copies the arguments before it returns."""
        where = (*grid, variant["threads"], 1, 1, variant["shared"], stream)
        if variant["cooperative"]:
            status = self._launch_together(function, *where, block.pointers)
        else:
            status = self._launch(function, *where, block.pointers, None)
        self._check(status, f"launching {variant['entry']} on a grid of {grid}")

    def tensor_map(self, address: int, d: dict[str, Any], sizes: list[int], strides: list[int]) -> bytes:
        """The 128 bytes of a tensor map, by cuTensorMapEncodeTiled. `sizes`, `strides`: in elements, slowest first."""
        rank, itemsize = len(sizes), d["itemsize"]
        memory = ctypes.create_string_buffer(128 + 64)
        at = -(-ctypes.addressof(memory) // 64) * 64
        dims = (ctypes.c_uint64 * rank)(*reversed(sizes))
        steps = (ctypes.c_uint64 * rank)(*[itemsize * s for s in reversed(strides[:-1])])
        box = (ctypes.c_uint32 * rank)(*reversed(d["block"]))
        ones = (ctypes.c_uint32 * rank)(*[1] * rank)
        no_interleave, l2_128_bytes, zero_fill = 0, 2, 0
        status = self._library.cuTensorMapEncodeTiled(
            ctypes.c_void_p(at), d["element"], rank, ctypes.c_void_p(address), dims, steps, box, ones, no_interleave,
            d["swizzle"], l2_128_bytes, zero_fill,
        )  # fmt: skip
        self._check(status, "describing a tensor for the TMA unit")
        content = bytearray(ctypes.string_at(at, 128))
        last = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)) * itemsize
        if last + 1 < 128 * 1024 and self._version() <= 13010:
            content[10] &= ~(1 << 5) & 0xFF  # what CUTLASS does for small tensors under older drivers: bit 21 of word 1
        return bytes(content)

    def _version(self) -> int:
        version = ctypes.c_int()
        self._check(self._library.cuDriverGetVersion(ctypes.byref(version)), "reading the driver's version")
        return version.value


def _open(name: str) -> ctypes.CDLL:
    """A library by name: the one that torch brings, if it does."""
    bundled = Path(torch.__file__).parent / "lib" / name
    try:
        return ctypes.CDLL(str(bundled) if bundled.exists() else name)
    except OSError as error:
        raise DriverError(f"{name} cannot be loaded: {error}") from None


_drivers: dict[str, Driver] = {}


def driver(backend: str) -> Driver:
    """The driver of a backend, opened once. Raises `DriverError` where its library is missing."""
    if backend not in _drivers:
        _drivers[backend] = Driver(backend)
    return _drivers[backend]


# --- what torch knows of devices


def device_index(tensor: torch.Tensor) -> int:
    """The GPU that `tensor` is on. Raises `WrongArgument` for other devices."""
    if not tensor.is_cuda:
        raise WrongArgument(f"exported kernels run on a GPU; a tensor is on {tensor.device}")
    return tensor.get_device()


def device_target(index: int) -> str:
    """The architecture of a GPU: `sm_90`, `gfx942`."""
    if torch.version.hip:
        return torch.cuda.get_device_properties(index).gcnArchName.split(":")[0]
    major, minor = torch.cuda.get_device_capability(index)
    return f"sm_{major}{minor}"


def device_context(index: int) -> Any:
    """Makes a GPU the current one."""
    return torch.cuda.device(index)


def current_stream(index: int) -> int:
    """The handle of torch's current stream on a GPU."""
    return torch.cuda.current_stream(index).cuda_stream


def multiprocessors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def choose_target(found: str, exported: Any) -> str:
    """The exported target that runs on a GPU: its own, or for sm_8x an older one of them. Raises `NoTarget`."""
    if found in exported:
        return found
    older = [t for t in exported if t[:-1] == found[:-1] == "sm_8" and t < found]
    if not older:
        raise NoTarget(f"this GPU is {found}, but the kernel was exported for {', '.join(exported)} only")
    return max(older)


def describe(folder: Path) -> str:
    """What an export holds, after its files were checked."""
    manifest = load(folder).manifest
    lines = [f"{manifest['kernel']}, exported by helion {manifest['versions']['helion']}"]
    for spec in manifest["arguments"]:
        details = f" of {spec['dtype']} {spec['shape']}, strides {spec['strides']}" if "shape" in spec else ""
        lines.append(f"  {spec['argument']}: {spec['kind']}{details}")
    for name, target in manifest["targets"].items():
        variants = ", ".join(Path(v["file"]).name for v in target["variants"])
        lines.append(f"  {name}: {variants}")
    return "\n".join([*lines, f"{len(manifest['files'])} files, all as they were exported"])


if __name__ == "__main__":
    try:
        print(describe(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))
    except ExportError as problem:
        sys.exit(f"{type(problem).__name__}: {problem}")
