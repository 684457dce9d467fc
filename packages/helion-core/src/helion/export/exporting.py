"""Putting an export together: for each target its GPU code, host code and source; the manifest; the loader."""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import exc
from ..config import Config
from ..runtime.targets import Target, parse_target
from . import loader
from .binaries import variants
from .folder import check_replaceable, write_folder
from .host import conditions, host_module

if TYPE_CHECKING:
    from ..emit.module import Generated
    from ..runtime.specialization import Specialization

_EXTENSION = {"cuda": "cubin", "hip": "hsaco"}


def export(bound: Specialization, path: str | Path, targets: Sequence[str] = (), config: Any = None) -> Path:
    """Writes `bound` to the folder `path`, to be run without helion and triton; returns the path.

    `targets`: architectures such as `sm_90` (default: that of the arguments' device); none of them needs to be there.
    `config`: a config, or one for each target by name; by default the chosen one, else the default of each target.
    An export that stands at `path` is replaced. Raises `CannotExport`, `NotAnExport`, `UnknownTarget`,
    `InvalidConfig`, `CompilationFailed`.
    """
    path = Path(path)
    check_replaceable(path)
    chosen = [parse_target(name) for name in ([targets] if isinstance(targets, str) else targets)]
    chosen = chosen or [t for t in (bound.target,) if t is not None]
    name = bound.kernel.name
    if not chosen:
        raise exc.CannotExport(kernel=name, reason="no target is named", instead='write targets=["sm_90"]')
    _check_arguments(name, bound.arguments)
    files: dict[str, bytes] = {}
    entries = {}
    for target in chosen:
        generated = bound.generate(_config_for(bound, config, target), target)
        entries[target.name] = _target(bound, generated, target, files)
    files["loader.py"] = Path(loader.__file__).read_bytes()
    files["__init__.py"] = _PACKAGE.format(name=name).encode()
    files[loader.MANIFEST] = _manifest(bound, entries, files)
    write_folder(path, files)
    return path


_PACKAGE = """from pathlib import Path

from .loader import load

{name} = load(Path(__file__).parent)
"""


def _config_for(bound: Specialization, config: Any, target: Target) -> Config | None:
    if isinstance(config, Mapping) and not isinstance(config, Config) and target.name in config:
        return config[target.name]
    return bound.config if config is None else config


def _check_arguments(kernel: str, arguments: Sequence[Mapping[str, Any]]) -> None:
    """Raises `CannotExport` for arguments that a call cannot be compared with."""
    for spec in _all(arguments):
        if spec["kind"] == "other":
            raise exc.CannotExport(
                kernel=kernel, reason=f"its argument `{spec['argument']}` is a {spec['type']}, which is compiled in",
                instead="export a kernel that takes tensors, numbers, strings, dtypes, or lists and dicts of tensors",
            )  # fmt: skip
    if not any(spec["kind"] == "tensor" for spec in _all(arguments)):
        raise exc.CannotExport(kernel=kernel, reason="no argument is a tensor", instead="pass at least one tensor")


def _all(specs: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for spec in specs:
        yield spec
        items = spec.get("items", ())
        yield from _all(list(items.values()) if isinstance(items, Mapping) else items)


def _target(bound: Specialization, generated: Generated, target: Target, files: dict[str, bytes]) -> dict[str, Any]:
    """What the manifest says of one target; adds its files to `files`."""
    traced = bound.traced_for(generated.config)
    host, source = f"{target.name}/host.py", f"{target.name}/triton_source.py"
    files[host] = host_module(generated, traced).encode()
    files[source] = generated.module_text().encode()
    found = []
    for variant in variants(generated, target):
        file = f"{target.name}/{variant.name}.{_EXTENSION[target.backend]}"
        files[file] = variant.binary
        found.append({"file": file, "alignment": variant.alignment, "int_bits": variant.int_bits, **variant.metadata})
    return {
        "backend": target.backend, "config": generated.config.to_dict(), "grid": generated.grid,
        "options": dict(generated.options), "conditions": conditions(traced, bound.kernel.name), "host": host,
        "source": source, "parameters": _parameters(generated), "variants": found,
    }  # fmt: skip


def _parameters(generated: Generated) -> list[dict[str, Any]]:
    """Tensors and numbers in the order in which the kernel takes them; descriptors of tensors follow."""
    program = generated.program
    found: list[dict[str, Any]] = [
        {
            "kind": "tensor", "name": t.name, "source": t.source, "dtype": str(t.dtype), "shape": _known(t.sizes),
            "strides": _known(t.strides),
        }
        for t in program.tensors
    ]  # fmt: skip
    return found + [
        {"kind": "float" if s.is_float else "int", "name": s.name, "source": s.source} for s in program.scalars
    ]


def _known(sizes: Sequence[Any]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in sizes]


def _manifest(bound: Specialization, targets: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    manifest: dict[str, Any] = {
        "format": loader.FORMAT,
        "schema": loader.SCHEMA,
        "kernel": bound.kernel.name,
        "versions": {
            "helion": version("helion-core"), "torch": version("torch"), "triton": version("triton"),
            "python": platform.python_version(),
        },
        "arguments": [spec | _default(bound, spec["argument"]) for spec in bound.arguments],
        "targets": targets,
        "files": {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in sorted(files.items())},
    }  # fmt: skip
    manifest["sha256"] = loader.manifest_digest(manifest)
    return json.dumps(manifest, indent=1).encode()


def _default(bound: Specialization, name: str) -> dict[str, Any]:
    """The default of a parameter, where JSON can hold it."""
    value = inspect.signature(bound.kernel.fn).parameters[name].default
    if value is None or type(value) in (bool, int, str) or (type(value) is float and value == value):
        return {"default": value}
    return {}
