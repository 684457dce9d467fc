"""The JSON form of a run, with a schema version.

msgspec checks every field against the dataclasses of `model` and says where a file departs from them, so there is no
hand-written parsing that could let half a file through.
"""

from __future__ import annotations

from typing import Any

import msgspec

from helion_bench.results.errors import ResultsError
from helion_bench.results.model import SCHEMA, Run

KIND = "helion-bench run"


def encode(run: Run) -> bytes:
    """`run` as JSON text in UTF-8, one line a cell so that differences can be read."""
    body = msgspec.to_builtins(run, enc_hook=_plain)
    cells = body.pop("cells")
    head = msgspec.json.encode({"kind": KIND, "schema": SCHEMA} | body)
    lines = b",\n".join(msgspec.json.encode(cell) for cell in cells)
    return head[:-1] + b',"cells":[\n' + lines + b"\n]}\n"


def _plain(value: Any) -> Any:
    """What backends of others may put in: torch's version is a subclass of str, numpy's numbers are not Python's."""
    if isinstance(value, str):
        return str(value)
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"a run cannot hold {type(value).__name__}: {value!r}")


def decode(text: bytes, source: str) -> Run:
    """The run in `text`, which came from `source`. Raises ResultsError that names it, and the place, if it is none."""
    try:
        data: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{source} is not JSON ({error}); it may have been cut off or edited") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ResultsError(f"{source} is not a run of helion-bench")
    schema = data.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise ResultsError(
            f"{source} has schema {schema!r}, written by a newer helion-bench; this one reads up to {SCHEMA}: update it"
        )
    if schema < SCHEMA:
        raise ResultsError(f"{source} has schema {schema}, which is no longer read (now {SCHEMA}): measure again")
    try:
        return msgspec.convert(data, Run)
    except msgspec.ValidationError as error:
        raise ResultsError(f"{source} is damaged: {error}") from None
