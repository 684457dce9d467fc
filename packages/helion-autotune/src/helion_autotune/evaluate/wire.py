"""What a pool and its workers say to each other: JSON objects, each behind its length in four bytes.

JSON and not pickle, so that neither side runs what the other sent, and a garbled frame is an error and nothing else.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any

_HEADER = struct.Struct(">I")
_CHUNK = 1 << 20


class EndOfStream(Exception):
    """The other side is gone."""


class Late(Exception):
    """Nothing complete arrived in time."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as bytes; raises TypeError or ValueError if it is not JSON."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return _HEADER.pack(len(body)) + body


def write(descriptor: int, message: dict[str, Any]) -> None:
    """Send one message; raises OSError if the other side is gone."""
    view = memoryview(encode(message))
    while view:
        view = view[os.write(descriptor, view) :]


def read(descriptor: int, seconds: float | None = None) -> dict[str, Any]:
    """Receive one message. Raises Late after ``seconds`` (None: never), EndOfStream if the other side is gone."""
    deadline = None if seconds is None else time.monotonic() + seconds
    (length,) = _HEADER.unpack(_read_exactly(descriptor, _HEADER.size, deadline))
    body = _read_exactly(descriptor, length, deadline)
    try:
        message = json.loads(body)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise EndOfStream("what arrived is no message")
    return message


def _read_exactly(descriptor: int, count: int, deadline: float | None) -> bytes:
    data = bytearray()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    while len(data) < count:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000.0
        if not poll.poll(left):
            raise Late
        chunk = os.read(descriptor, min(_CHUNK, count - len(data)))
        if not chunk:
            raise EndOfStream
        data += chunk
    return bytes(data)
