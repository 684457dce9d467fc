"""Runs in a folder, one subfolder a GPU: what was measured on two machines is not comparable.

    <root>/<gpu>/runs/<date and id>.json     every run, also unfinished ones
    <root>/<gpu>/baselines/<name>.json       runs that were given a name

Files are replaced whole, so that a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from helion_bench.results.codec import decode, encode
from helion_bench.results.errors import ResultsError
from helion_bench.results.model import Run

LAST = "last"  # instead of a name: the latest run
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def folder_of(gpu: str) -> str:
    """The folder name of a GPU: "NVIDIA H100 80GB HBM3" is nvidia-h100-80gb-hbm3."""
    return re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") or "unknown"


def read_run(path: Path) -> Run:
    """The run in a file. Raises ResultsError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from None
    return decode(text, str(path))


def write_file(path: Path, content: bytes) -> None:
    """Replace `path` by `content` at once, or leave it as it was. Raises ResultsError.

    A link stays one, and what is no file (a pipe, /dev/null) is written into, never replaced.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def check_writable(path: Path) -> None:
    """Raises ResultsError where `write_file` could not write `path`, which stays as it is."""
    if path.is_dir():
        raise ResultsError(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        return
    folder = path.resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Stored:
    """A file of the store; `broken` says why it cannot be read."""

    path: Path
    run: Run | None
    broken: str = ""


class Store:
    """The runs below `root` (default: the user's data folder). Raises ResultsError where that is no folder."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root) if root is not None else user_data_path("helion") / "bench"
        if self.root.exists() and not self.root.is_dir():
            raise ResultsError(f"{self.root} is no folder: runs cannot be stored in it")

    def path(self, run: Run) -> Path:
        """Where a run is kept."""
        return self.root / folder_of(run.machine.gpu) / "runs" / f"{run.id}.json"

    def put(self, run: Run) -> Path:
        """Keep `run`, in place of an earlier state of it."""
        path = self.path(run)
        write_file(path, encode(run))
        return path

    def save(self, run: Run, name: str, *, replace: bool = False) -> Path:
        """Keep `run` as the baseline `name` of its GPU. Raises ResultsError if there is one, unless `replace`."""
        if not _NAME.fullmatch(name):
            raise ResultsError(f"{name!r} is no name for a baseline: letters, digits, and . _ + - within")
        if name == LAST:
            raise ResultsError(f"{LAST!r} is no name for a baseline: it means the latest run")
        path = self.root / folder_of(run.machine.gpu) / "baselines" / f"{name}.json"
        if path.exists() and not replace:
            raise ResultsError(f"there is a baseline {name!r} already ({path}); --replace overwrites it")
        write_file(path, encode(dataclasses.replace(run, name=name)))
        return path

    def runs(self) -> list[Stored]:
        """Every run, oldest first."""
        found = list(self._read("*/runs/*.json"))
        return sorted(found, key=lambda s: (s.run.started if s.run else "", s.path.name))

    def baselines(self) -> list[Stored]:
        """Every baseline, by GPU and name."""
        return sorted(self._read("*/baselines/*.json"), key=lambda s: s.path)

    def _read(self, pattern: str) -> Iterator[Stored]:
        for path in self.root.glob(pattern):
            if path.name.startswith("."):
                continue
            try:
                yield Stored(path, read_run(path))
            except ResultsError as error:
                yield Stored(path, None, str(error))

    def last(self, gpu: str | None = None) -> Run | None:
        """The latest run that can be read, of any GPU or of that one."""
        runs = [s.run for s in self.runs() if s.run and gpu in (None, s.run.machine.gpu)]
        return runs[-1] if runs else None

    def find(self, name: str, gpu: str | None = None) -> Run:
        """The run that a FILE, a baseline's NAME, a run's id or "last" means; a name alone where only one GPU has it.

        Raises ResultsError, listing the baselines there are.
        """
        path = Path(name)
        if path.suffix == ".json" or os.sep in name or path.is_file():
            return read_run(path)
        if name == LAST:
            return self._last_or_error(gpu)
        folder = "*" if gpu is None else folder_of(gpu)
        file = f"{glob.escape(name)}.json"
        found = [*self.root.glob(f"{folder}/baselines/{file}"), *self.root.glob(f"{folder}/runs/{file}")]
        if len(found) == 1:
            return read_run(found[0])
        if found:
            paths = ", ".join(map(str, found))
            raise ResultsError(f"{name!r} may be any of {paths}: give the file")
        there = ", ".join(f"{s.path.stem} ({s.path.parts[-3]})" for s in self.baselines()) or "none yet"
        where = "" if gpu is None else f" for {gpu}"
        raise ResultsError(f"no baseline or file {name!r}{where} in {self.root}; baselines: {there}")

    def _last_or_error(self, gpu: str | None) -> Run:
        run = self.last(gpu)
        if run is None:
            where = "" if gpu is None else f" of {gpu}"
            raise ResultsError(f"no run{where} is stored in {self.root} yet: `helion-bench run` makes one")
        return run
