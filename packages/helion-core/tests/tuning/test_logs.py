"""HELION_LOGS."""

from __future__ import annotations

import logging

import pytest

from helion import logs


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("", {}),
        ("all", {"helion": logging.INFO}),
        ("+all", {"helion": logging.DEBUG}),
        ("+helion.runtime.kernel", {"helion.runtime.kernel": logging.DEBUG}),
        ("helion.tuning, +helion.runtime", {"helion.tuning": logging.INFO, "helion.runtime": logging.DEBUG}),
    ],
)
def test_what_the_text_asks_for(text, levels):
    assert logs.parse(text) == levels


def test_lines_go_to_stderr_once(capsys):
    loggers = [logging.getLogger(name) for name in ("helion", "helion.tuning.some")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    try:
        logs.set_up("all,+helion.tuning.some")
        logs.set_up("all,+helion.tuning.some")
        loggers[1].debug("from deep inside")
        logging.getLogger("helion.other").debug("not asked for")
        assert capsys.readouterr().err == "[DEBUG helion.tuning.some] from deep inside\n"
    finally:
        for logger, (level, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.handlers[:] = handlers
