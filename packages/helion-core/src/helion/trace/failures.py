"""Whatever goes wrong while a kernel is traced, told at the user's line in words of the kernel's author.

Device code: errors of the catalogue speak of the author's names; what the author raised, and what Python says of the
author's own names and constants, stays what it is; any other exception becomes `TracingFailed`, or `InternalError`
where it is ours, with the original as its cause. Host code: exceptions stay what torch raised, but for questions about
data that host code cannot answer while it is traced.
"""

from __future__ import annotations

import dis
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from .. import exc, location
from ..frontend import control

if TYPE_CHECKING:
    from .tracer import Tracer

_DATA = (DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode)
_DEFECTS = (AssertionError, AttributeError, KeyError, IndexError)  # where our own code raises them
_RAISING = {"RAISE_VARARGS", "RERAISE"}
# Names in the text of an exception that show that it speaks of device values or comes from torch.
_OURS = re.compile(
    r"\b(Tile|TileTensor|FakeTensor|SymInt|SymFloat|SymBool|StackTensor|Undefined|Tensors?|torch|dtypes?"
    r"|invalid combination of arguments|scalar)\b"
)

_REWRITTEN = re.compile(r"\b__helion_\w+\.<locals>\.")  # what rewriting puts before the names of nested functions


@contextmanager
def device_code(tracer: Tracer) -> Iterator[None]:
    """Turns what the body of a tile loop raises into what its author is to see."""
    try:
        yield
    except exc.Base as error:
        error.reworded(lambda text: _plain(tracer, text))
        raise
    except Exception as error:
        told = _device_error(error)
        if told is error:
            raise
        if isinstance(told, exc.Base):
            told.reworded(lambda text: _plain(tracer, text))
        raise told.with_traceback(location.trim(error.__traceback__)) from error


def host_error(tracer: Tracer, error: Exception) -> Exception:
    """What the author sees of an exception that came out of a kernel's host code; often `error` itself."""
    if isinstance(error, exc.Base):
        return error
    place = location.of_traceback(error.__traceback__)
    if isinstance(error, _DATA) or _asks_for_data(error):
        return exc.HostDataNeeded(op=_expression(place), location=place)
    if isinstance(error, UnsupportedOperatorException):
        return exc.TracingFailed(op=_expression(place), reason=_reason(error), location=place)
    if _in_package(error.__traceback__) and not _is_assertion(error):
        return exc.InternalError(text=_reason(error), location=place)
    if not location.raised_in_user_code(error.__traceback__) and error.args and isinstance(error.args[0], str):
        error.args = (tracer.named(error.args[0]), *error.args[1:])
    _note(error, place)
    return error


# Classes that only tracing has, and what the author takes them for.
_SHOWN = {
    "'TileTensor'": "a device value",
    "'Tile'": "a tile",
    "TileTensor": "Tensor",
    "FakeTensor": "Tensor",
    "torch.SymInt": "int",
    "torch.SymFloat": "float",
    "SymInt": "int",
}


def _plain(tracer: Tracer, text: str) -> str:
    """`text` in the author's words: names of tiles for symbols, tensors for the classes that stand for them."""
    for inner, shown in _SHOWN.items():
        text = text.replace(inner, shown)
    return tracer.named(text)


def _asks_for_data(error: Exception) -> bool:
    text = str(error)
    return (
        "Cannot access data pointer of Tensor" in text
        or ".tolist() is not supported for tensor subclasses" in text
        or (".numpy() is not supported for tensor subclasses" in text)
    )


def _device_error(error: Exception) -> Exception:
    traceback = error.__traceback__
    place = location.of_traceback(traceback)
    if _is_assertion(error) or (location.raised_in_user_code(traceback) and _is_authors_own(error, traceback)):
        _note(error, place)
        return error
    if isinstance(error, RecursionError):
        return exc.UnsupportedOperation(
            op="a recursion that does not end while tracing", reason="", location=place,
            instead="write a loop, or end the recursion by a condition on constants",
        )  # fmt: skip
    if _passes(traceback, "numpy"):
        return exc.UnsupportedOperation(
            op="a numpy function on a device value", reason="", location=place,
            instead="use the function of torch, mostly of the same name",
        )  # fmt: skip
    if "_semantic" in str(error) and _passes(traceback, "triton"):
        return exc.UnsupportedOperation(
            op=f"{_expression(place)}, a function of Triton's language,", reason="", location=place,
            instead="use torch's function (torch.exp for tl.exp), tile.id for a program id, tile.index for tl.arange, "
            "subscripts for tl.load and tl.store; hl.inline_triton and hl.triton_kernel take Triton as it is",
        )  # fmt: skip
    if isinstance(error, _DEFECTS) and _in_package(traceback):
        return exc.InternalError(text=_reason(error), location=place)
    if isinstance(error, AttributeError) and error.name:
        return _unknown_attribute(error, place)
    return exc.TracingFailed(op=_expression(place), reason=_reason(error), location=place)


def _is_authors_own(error: Exception, traceback: TracebackType | None) -> bool:
    """Whether an exception in the author's frame was raised by the author, or speaks of the author's things only."""
    if _was_raised_by_statement(traceback) or isinstance(error, NameError):
        return True
    return type(error).__module__ == "builtins" and not _OURS.search(str(error)) and not _of_ours(error)


def _of_ours(error: Exception) -> bool:
    owner = getattr(error, "obj", None)
    module = getattr(owner, "__name__", "") if isinstance(owner, type(sys)) else type(owner).__module__
    return isinstance(error, AttributeError) and (module or "").split(".")[0] in ("torch", "helion")


def _was_raised_by_statement(traceback: TracebackType | None) -> bool:
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code, at = traceback.tb_frame.f_code, traceback.tb_lasti
    return any(i.offset == at and i.opname in _RAISING for i in dis.get_instructions(code))


def _unknown_attribute(error: AttributeError, place: location.Location | None) -> exc.Base:
    from .values import Tile, TileTensor

    owner, name = error.obj, str(error.name)
    if isinstance(owner, Tile):
        shown, known = "a tile", ["begin", "end", "index", "block_size", "id", "count"]
    elif isinstance(owner, type(sys)):
        shown, known = f"`{owner.__name__}`", dir(owner)
    else:
        shown = "a device value" if isinstance(owner, TileTensor) else f"a `{type(owner).__name__}`"
        known = dir(owner)
    return exc.UnknownAttribute(owner=shown, name=name, instead=_suggestion(name, known), location=place)


def _suggestion(name: str, known: list[str]) -> str:
    import difflib

    public = [k for k in known if not k.startswith("_")]
    close = difflib.get_close_matches(name, public, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"there are {', '.join(f'`{k}`' for k in public)}" if len(public) < 10 else "see its documentation"


def _is_assertion(error: Exception) -> bool:
    """Whether an `assert` statement of the author failed: rewritten code makes them through `control.assert_`."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code is control.assert_.__code__


def _passes(traceback: TracebackType | None, library: str) -> bool:
    """Whether a frame of `traceback` runs code of `library`."""
    while traceback is not None:
        if location.is_file_of(library, traceback.tb_frame.f_code.co_filename):
            return True
        traceback = traceback.tb_next
    return False


def _in_package(traceback: TracebackType | None) -> bool:
    last = ""
    while traceback is not None:
        last, traceback = traceback.tb_frame.f_code.co_filename, traceback.tb_next
    return location.is_own_file(last)


def _expression(place: location.Location | None) -> str:
    text = place.expression if place is not None else ""
    return f"`{text}`" if text else "this line"


def _reason(error: Exception) -> str:
    lines = [line for line in _REWRITTEN.sub("", str(error)).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def _note(error: Exception, place: location.Location | None) -> None:
    """Shows the place below an exception that stays what it is, where Python can (3.11 and newer)."""
    if place is not None and hasattr(error, "add_note"):
        error.add_note(place.show())
