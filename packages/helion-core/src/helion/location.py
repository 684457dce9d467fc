"""Where in the user's program something happened: found from live frames, shown with a caret."""

from __future__ import annotations

import functools
import linecache
import os
import sys
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

import torch

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = ("site-packages" + os.sep, "dist-packages" + os.sep)
_LIBRARIES = ("sympy", "numpy", "triton")


@functools.cache
def is_user_file(filename: str) -> bool:
    """Whether `filename` holds code of the kernel's author: neither ours, nor torch's, nor that of a library below."""
    if filename.startswith((_OWN, _TORCH, "<frozen")) or any(is_file_of(name, filename) for name in _LIBRARIES):
        return False
    return not filename.startswith(_STANDARD) or any(folder in filename for folder in _INSTALLED)


def is_file_of(library: str, filename: str) -> bool:
    """Whether `filename` holds code of `library`, which may be installed or run from its source."""
    folders = getattr(sys.modules.get(library), "__path__", ())
    return any(filename.startswith(folder + os.sep) for folder in folders)


def is_own_file(filename: str) -> bool:
    """Whether `filename` holds code of this package."""
    return filename.startswith(_OWN)


@dataclass(frozen=True)
class Location:
    """A span of source: 1-based line, 0-based columns (`end_column` is -1 where it is not known)."""

    filename: str
    line: int
    column: int = 0
    end_column: int = -1

    @property
    def text(self) -> str:
        return linecache.getline(self.filename, self.line).rstrip("\n")

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"

    @property
    def expression(self) -> str:
        """The source text of the span; empty where its end is not known."""
        return self.text[self.column : self.end_column] if self.end_column > self.column else ""

    def show(self) -> str:
        """The place, the source line and a caret below the expression, as three lines of text."""
        text = self.text
        where = f"  --> {self.filename}:{self.line}:{self.column + 1}"
        if not text.strip():
            return where
        indent = len(text) - len(text.lstrip())
        start = max(self.column, indent)
        end = self.end_column if self.end_column > start else len(text)
        number = str(self.line)
        gutter = " " * len(number)
        caret = " " * (start - indent) + "^" * max(1, min(end, len(text)) - start)
        return f"{where}\n {gutter} |\n {number} | {text.strip()}\n {gutter} | {caret}"


def _positions(frame: FrameType, lasti: int) -> tuple[int, int, int, int] | None:
    """(line, end line, column, end column) of the instruction at byte offset `lasti`; Python 3.11 and newer know it."""
    code: Any = frame.f_code
    if lasti < 0 or not hasattr(code, "co_positions"):
        return None
    import itertools

    found = next(itertools.islice(code.co_positions(), lasti // 2, None), None)
    return found if found and None not in found else None  # type: ignore[return-value]


def _locate(frame: FrameType, lasti: int, line: int) -> Location:
    filename = frame.f_code.co_filename
    span = _positions(frame, lasti)
    if span is None:
        return Location(filename, line)
    start, end, column, end_column = span
    return from_bytes(filename, start, column, end_column if end == start else -1)


def from_bytes(filename: str, line: int, column: int, end_column: int) -> Location:
    """A place whose columns count bytes, as those of syntax trees and instructions do."""
    text = linecache.getline(filename, line)
    if not text.isascii():
        data = text.encode()
        column, end_column = (len(data[:c].decode(errors="ignore")) if c >= 0 else c for c in (column, end_column))
    return Location(filename, line, column, end_column)


def is_user_frame(frame: FrameType) -> bool:
    """Whether `frame` runs code of the kernel's author; what dataclasses generate for us has no file of ours."""
    name = frame.f_code.co_filename
    return is_user_file(name) and not (name == "<string>" and frame.f_globals.get("__name__", "").startswith("helion."))


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost live frame that runs the user's code."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and not is_user_frame(frame):
        frame = frame.f_back
    return frame


def here() -> Location | None:
    """The user's expression that is being evaluated now."""
    frame = user_frame(2)
    return None if frame is None else _locate(frame, frame.f_lasti, frame.f_lineno)


def line_here() -> tuple[str, int]:
    """File and line that the user's code is at now; cheaper than `here`."""
    frame = user_frame(2)
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def site() -> tuple[tuple[str, int], ...]:
    """The user's lines that lead from the kernel to here, innermost first: the same in every run of the same kernel."""
    lines = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.endswith(_RUNNERS):
        if is_user_file(frame.f_code.co_filename):
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(lines)


_RUNNERS = (os.path.join("helion", "trace", "trace.py"), os.path.join("helion", "interpret", "run.py"))


def trim(traceback: TracebackType | None) -> TracebackType | None:
    """`traceback` without our own and torch's frames, so that its last frame is the user's line."""
    entries = []
    while traceback is not None:
        if is_user_frame(traceback.tb_frame):
            entries.append(traceback)
        traceback = traceback.tb_next
    result: TracebackType | None = None
    for entry in reversed(entries):
        result = TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result


def of_traceback(traceback: TracebackType | None) -> Location | None:
    """The user's expression that `traceback` leads to: that of its innermost frame of the user's."""
    last = None
    while traceback is not None:
        if is_user_frame(traceback.tb_frame):
            last = traceback
        traceback = traceback.tb_next
    return None if last is None else _locate(last.tb_frame, last.tb_lasti, last.tb_lineno)


def raised_in_user_code(traceback: TracebackType | None) -> bool:
    """Whether the innermost frame of `traceback` is the user's: the exception is then the user's own."""
    last = None
    while traceback is not None:
        last, traceback = traceback, traceback.tb_next
    return last is not None and is_user_file(last.tb_frame.f_code.co_filename)
