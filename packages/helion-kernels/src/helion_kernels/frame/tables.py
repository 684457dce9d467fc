"""Tables of configs: `<op>.<gpu>.json`, shipped in `configs/` and written by `helion_kernels.tune`.

A table is a JSON object: `schema`, `op`, `gpu`, and `entries`. An entry names a kernel, the arguments it was measured
with and the config, and says how it was measured: milliseconds, device, versions, date, command.

The folder of a user's own tables is `kernels` in HELION_CACHE_DIR, or in the user's cache directory for helion.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from platformdirs import user_cache_path

from helion import Config
from helion.settings import cache_directory

SCHEMA = 1
FARTHEST = 1.0  # octaves: an entry serves sizes from half to twice its own; beyond, rules know more


class TableWarning(UserWarning):
    """A table of configs could not be used; default configs are used instead."""


# --- what entries are found by


@dataclass(frozen=True)
class Signature:
    """A kernel and its arguments: `bfloat16[4096, 8192]` for tensors, values for constants, types for numbers."""

    kernel: str
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, kernel: str, args: Sequence[Any]) -> Signature:
        return cls(kernel, tuple(map(_described, args)))

    @property
    def bucket(self) -> Signature:
        """The same with sizes rounded up to powers of two: a table holds one entry for each."""
        return Signature(self.kernel, tuple(_TENSOR.sub(_rounded, a) for a in self.arguments))

    def distance(self, other: Signature) -> float | None:
        """How far the sizes are apart, in octaves summed over all; None where one config cannot serve both."""
        if self.kernel != other.kernel or len(self.arguments) != len(other.arguments):
            return None
        total = 0.0
        for mine, theirs in zip(self.arguments, other.arguments, strict=True):
            octaves = _apart(mine, theirs)
            if octaves is None:
                return None
            total += octaves
        return total


_TENSOR = re.compile(r"^(\w+)\[([\d, ]*)\]$")
_HALVES = {"float16", "bfloat16"}  # cost the same
_OTHER_DTYPE = 0.25  # octaves: an entry of the same dtype comes first


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.size())}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return type(value).__name__
    return repr(value)


def _rounded(match: re.Match[str]) -> str:
    return f"{match[1]}{[1 << max(0, n - 1).bit_length() for n in _sizes(match[2])]}"


def _sizes(text: str) -> list[int]:
    return [int(n) for n in text.split(",")] if text.strip() else []


def _apart(mine: str, theirs: str) -> float | None:
    a, b = _TENSOR.match(mine), _TENSOR.match(theirs)
    if a is None or b is None:
        return 0.0 if mine == theirs else None
    left, right = _sizes(a[2]), _sizes(b[2])
    if len(left) != len(right) or (a[1] != b[1] and not {a[1], b[1]} <= _HALVES):
        return None
    octaves = [abs(math.log2(max(m, 1) / max(n, 1))) for m, n in zip(left, right, strict=True)]
    if max(octaves, default=0.0) > FARTHEST:
        return None
    return sum(octaves) + _OTHER_DTYPE * (a[1] != b[1])


# --- entries and files


@dataclass(frozen=True)
class Entry:
    """A config measured for a signature. `measured`: milliseconds, device, versions, date, command."""

    signature: Signature
    config: Config
    measured: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "kernel": self.signature.kernel, "arguments": list(self.signature.arguments),
            "config": self.config.to_dict(), "measured": self.measured,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> Entry:
        """Raises KeyError, TypeError, ValueError and `InvalidConfig` for what `to_json` did not write."""
        arguments = data["arguments"]
        if not isinstance(arguments, list) or not all(isinstance(a, str) for a in arguments):
            raise TypeError("`arguments` is not a list of texts")
        signature = Signature(str(data["kernel"]), tuple(arguments))
        return cls(signature, Config.from_dict(data["config"]), dict(data["measured"]))


def to_text(op: str, gpu: str, entries: Iterable[Entry]) -> str:
    """The text of a table, one line an entry."""
    ordered = sorted(entries, key=lambda e: (e.signature.kernel, e.signature.arguments))
    lines = ",\n".join("    " + json.dumps(e.to_json()) for e in ordered)
    head = json.dumps({"schema": SCHEMA, "op": op, "gpu": gpu})[1:-1]
    return f'{{\n  {head},\n  "entries": [\n{lines}\n  ]\n}}\n'


def from_text(text: str) -> list[Entry]:
    """The entries of a table. Raises ValueError where it is damaged or of another schema."""
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise ValueError(f"it has schema {data['schema']!r}, this version reads {SCHEMA}")
        return [Entry.from_json(e) for e in data["entries"]]
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:  # RuntimeError: errors of helion's catalogue
        raise ValueError(f"it is no table of configs: {error!r}") from error


def merged(old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """One entry for each bucket, the newer one where there are two."""
    return list({e.signature.bucket: e for e in (*old, *new)}.values())


# --- the GPU's name


def gpu_name(device: torch.device) -> str:
    """The name of a GPU as file names have it: `h100-80gb-hbm3`."""
    return slug(torch.cuda.get_device_name(device))


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("nvidia ")).strip("-")


# --- where tables are


def user_folder() -> Path:
    folder = cache_directory()
    return Path(folder) / "kernels" if folder else user_cache_path("helion") / "kernels"


def write(folder: Path, op: str, gpu: str, entries: Iterable[Entry]) -> Path:
    """Adds `entries` to the table of `op` in `folder`, safely for several processes. Raises OSError."""
    path = folder / f"{op}.{gpu}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        text = to_text(op, gpu, merged(_read_own(path), entries))
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.stem}-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    tables.cache_clear()
    return path


def _read_own(path: Path) -> list[Entry]:
    """A table of the user's; one that cannot be read is set aside, with a warning."""
    try:
        return from_text(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        aside = path.with_name(f"{path.name}.aside-{time.time_ns()}")
        try:
            os.replace(path, aside)
            where = f"moved to {aside.name}"
        except OSError:
            where = "left where it is"
        _warn(path, error, where)
        return []


def _read_shipped(op: str, gpu: str) -> list[Entry]:
    """The table for the most specific name that this GPU's name starts with: `h100` serves `h100-80gb-hbm3`."""
    parts = gpu.split("-")
    for count in range(len(parts), 0, -1):
        file = files("helion_kernels") / "configs" / f"{op}.{'-'.join(parts[:count])}.json"
        if file.is_file():
            try:
                return from_text(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                _warn(file, error, "passed over")
    return []


def _warn(path: Any, error: Exception, done: str) -> None:
    warnings.warn(f"{path}: {error}; it is {done}, default configs are used instead", TableWarning, stacklevel=2)


@functools.cache
def tables(op: str, gpu: str) -> tuple[list[Entry], list[Entry]]:
    """The user's own table and the shipped one."""
    return _read_own(user_folder() / f"{op}.{gpu}.json"), _read_shipped(op, gpu)


def lookup(op: str, device: torch.device, wanted: Signature) -> list[Entry]:
    """Entries that can serve `wanted` on `device`, the nearest first, the user's own before shipped ones as near."""
    if device.type != "cuda":
        return []
    found = []
    for layer, entries in enumerate(tables(op, gpu_name(device))):
        for entry in entries:
            distance = wanted.distance(entry.signature)
            if distance is not None:
                found.append((distance, layer, entry))
    return [entry for _, _, entry in sorted(found, key=lambda f: f[:2])[:_TRIED]]


_TRIED = 3
