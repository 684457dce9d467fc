"""Kernels that an earlier process compiled, found without hashing Triton's installation.

Triton's key of a compiled kernel holds a hash of its own sources and of its library of 300 MB, and what ptxas prints as
its version. Ours has the sizes and times of those files instead, and is otherwise made of the same parts.
Under it is kept which of Triton's entries holds the kernel, with checksums of its files; see decision 014.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import kept

log = logging.getLogger(__name__)

_KNOWN = ("3.6.", "3.7.", "3.8.", "3.9.")  # releases of Triton whose key is made of these parts
_PACKAGES = ("_C", "backends", "compiler", "language", "runtime")
_TOOLS = ("ptxas", "ptxas_blackwell")


def key_for(source: Any, target: Any, options: Mapping[str, Any]) -> str | None:
    """Our key of a kernel that `triton.compile` is given; None where Triton alone may say what it is compiled to."""
    import triton
    from triton.compiler import compiler

    if not triton.__version__.startswith(_KNOWN) or not kept.in_use() or _observed():
        return None
    backend: Any = compiler.make_backend(target)
    tools = _tools()
    if tools is None or not type(backend).__module__.startswith("triton.backends."):
        return None
    settings = sorted(compiler.get_cache_invalidating_env_vars().items())
    parsed = backend.parse_options(dict(options)).hash()
    return kept.key_of("binary", [_triton(), *tools, source.hash(), str(target), parsed, str(settings)])


def _observed() -> bool:
    """Whether compilations are forced, changed or watched."""
    from triton import knobs

    c = knobs.compilation
    hook = getattr(knobs.runtime, "add_stages_inspection_hook", None)
    return bool(c.always_compile or c.override or c.dump_ir or c.use_ir_loc or c.listener or hook)


@functools.cache
def _triton() -> str:
    """What stands for Triton's installation: its version, and the size and time of every file that decides the code."""
    import triton

    root = Path(triton.__file__).parent
    digest = hashlib.sha256(f"{triton.__version__} {root}".encode())
    for package in _PACKAGES:
        for place, folders, files in os.walk(root / package, followlinks=True):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(files):
                path = os.path.join(place, name)
                digest.update(f"{path} {_stamp(path)}\n".encode())
    return digest.hexdigest()


def _stamp(path: str) -> str:
    found = os.stat(path)
    return f"{found.st_size} {found.st_mtime_ns}"


def _tools() -> list[str] | None:
    """What stands for assemblers given in place of those that ship with Triton; None where that cannot be said."""
    from triton import knobs

    parts = [str(knobs.nvidia.mock_ptx_version)]
    for name in _TOOLS:
        given = vars(knobs.nvidia).get(name) or knobs.getenv(type(knobs.nvidia).__dict__[name].key)
        if given is None:
            continue
        if not isinstance(given, str) or not os.path.isfile(given):
            return None
        parts.append(f"{name} {given} {_stamp(given)}")
    return parts


def load(key: str, source: Any) -> Any:
    """Triton's compiled kernel under our `key`; None where it is not there whole."""
    from triton.compiler import CompiledKernel

    record = kept.read(key)
    if record is None:
        return None
    try:
        entry, expected = record["entry"], record["files"]
        group = kept.folder(entry).get_group(record["group"])
        if group is None:
            return None
        if {name: _checksum(path) for name, path in group.items()} != expected:
            raise ValueError("files are missing or were changed")
        return CompiledKernel(source, group, entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.info("a compiled kernel in Triton's folder is damaged: %s", error)
        _forget(record)
        return None


def _forget(record: Mapping[str, Any]) -> None:
    """Has Triton compile a damaged kernel again: it takes an entry without the list of its files as none."""
    try:
        path = kept.folder(record["entry"]).get_file(f"__grp__{record['group']}")
        if path is not None:
            os.unlink(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.info("it cannot be removed: %s", error)


def keep(key: str, compiled: Any) -> None:
    """Has later processes find `compiled`, which `triton.compile` gave for `key`."""
    group: Mapping[str, str] = compiled.metadata_group
    name = next((n for n in group if n.endswith(".json")), None)
    try:
        if name is not None:
            files = {n: _checksum(path) for n, path in group.items()}
            kept.write(key, {"entry": compiled.hash, "group": name, "files": files})
    except OSError as error:
        log.info("a compiled kernel cannot be kept: %s", error)


def _checksum(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
