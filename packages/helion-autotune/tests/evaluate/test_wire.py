from __future__ import annotations

import contextlib
import os

import pytest

from helion_autotune.evaluate import wire


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_messages_arrive_whole_and_in_order(pipe) -> None:
    reader, writer = pipe
    messages = [{"a": [1, None, "ü\n"]}, {}, {"text": "x" * 5000}]
    for message in messages:
        wire.write(writer, message)
    assert [wire.read(reader, 5) for _ in messages] == messages


def test_silence_is_late_and_a_closed_pipe_is_the_end(pipe) -> None:
    reader, writer = pipe
    with pytest.raises(wire.Late):
        wire.read(reader, 0.01)
    os.write(writer, wire.encode({"a": 1})[:-1])
    with pytest.raises(wire.Late):
        wire.read(reader, 0.01)
    os.close(writer)
    with pytest.raises(wire.EndOfStream):
        wire.read(reader, 5)


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff"])
def test_garbage_is_the_end(pipe, body) -> None:
    reader, writer = pipe
    os.write(writer, len(body).to_bytes(4, "big") + body)
    with pytest.raises(wire.EndOfStream):
        wire.read(reader, 5)


def test_only_json_is_sent() -> None:
    with pytest.raises(TypeError):
        wire.encode({"a": object()})
