"""Putting a folder on disk in one step: whoever looks sees the old one or the new one, never a part."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .. import exc
from .loader import FORMAT, MANIFEST


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes `files` to the folder `path`, in place of an export that is there.

    Raises `NotAnExport` where something else is there, and OSError where the disk refuses.
    """
    path = path.absolute()
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, content in files.items():
            file = fresh / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        fresh.chmod(0o755)
        _replace(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _replace(fresh: Path, path: Path) -> None:
    if not path.exists():
        os.rename(fresh, path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    os.rename(path, old)  # over an empty folder
    try:
        os.rename(fresh, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(path: Path) -> None:
    """Raises `NotAnExport` unless `path` is free, an empty folder, or an export."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise exc.NotAnExport(path=path)
