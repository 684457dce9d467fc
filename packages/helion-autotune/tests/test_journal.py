from __future__ import annotations

import errno
import json
import os

import pytest

from helion_autotune import Budget, Integer, Journal, SearchSpace, Status, Trial, tune
from helion_autotune.errors import JournalBusy, JournalMismatch
from helion_autotune.evaluate import InlineEvaluator
from helion_autotune.journal import read_lines

SPACE = SearchSpace({"x": Integer(0, 99, 50)})
ONE, TWO = Trial({"x": 1}, milliseconds=1.0), Trial({"x": 2}, "timeout", message="60 s")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "run.jsonl"


def cost(point) -> float:
    return 1.0 + abs(point["x"] - 20)


def open_journal(path, **identity) -> Journal:
    return Journal(path, identity or {"kernel": "k"})


def write(path, *trials, begin=()) -> None:
    journal = open_journal(path)
    for i, trial in enumerate(trials):
        journal.submitted(trial.point, trial.key, i)
        journal.finished(trial, trial, None, float(i + 1))
    for trial in begin:
        journal.submitted(trial.point, trial.key, 0.0)
    journal.close()
    if begin:  # as if killed: closing has the last word otherwise
        lines = path.read_bytes().splitlines(keepends=True)
        assert b'"left"' in lines.pop()
        path.write_bytes(b"".join(lines))


def test_gives_back_what_was_settled(path) -> None:
    write(path, ONE, TWO)
    journal = open_journal(path)
    assert list(journal.trials.values()) == [ONE, TWO]
    assert journal.seconds == 2.0
    assert not journal.complete
    journal.close()


@pytest.mark.parametrize(
    "tail", [b'{"event":"trial","tri', b"\x00\x00\xff", b"{}", b"[1]\n", b'{"event":"trial","trial":{}}']
)
def test_a_torn_end_costs_the_last_line_only(path, tail) -> None:
    write(path, ONE)
    with path.open("ab") as file:
        file.write(tail)
    write(path, TWO)
    journal = open_journal(path)
    assert list(journal.trials.values()) == [ONE, TWO], "what follows a torn line is read"
    journal.close()


def test_another_problem_is_refused_and_left_alone(path) -> None:
    write(path, ONE)
    before = path.read_bytes()
    with pytest.raises(JournalMismatch, match="another problem"):
        open_journal(path, kernel="other")
    assert path.read_bytes() == before
    open_journal(path).close()


def test_one_writer_at_a_time(path) -> None:
    journal = open_journal(path)
    with pytest.raises(JournalBusy, match="another process"):
        open_journal(path)
    journal.close()
    open_journal(path).close()


def test_what_three_runs_died_of_is_not_tried_again(path) -> None:
    write(path, ONE, begin=[TWO])
    write(path, begin=[TWO])
    journal = open_journal(path)
    assert TWO.key not in journal.trials, "twice may be chance"
    journal.close()
    write(path, begin=[TWO])
    journal = open_journal(path)
    assert journal.trials[TWO.key].status is Status.CRASH
    assert "3 runs died" in journal.trials[TWO.key].message
    journal.close()


def test_a_run_that_ended_kills_no_suspects(path) -> None:
    class Ended:
        stopped = "seconds"

    for _ in range(3):
        journal = open_journal(path)
        journal.submitted(TWO.point, TWO.key, 0.0)
        journal.ended(Ended(), 1.0)
        journal.close()
    journal = open_journal(path)
    assert journal.complete
    assert journal.trials == {}
    journal.close()


def test_a_full_disk_is_one_warning_and_the_run_goes_on(path, monkeypatch) -> None:
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if b"trial" in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.warns(UserWarning, match="No space left on device; the run goes on") as caught:
        result = tune(SPACE, InlineEvaluator(lambda p: p["x"] + 1.0), "finite", journal=path, write=None)
    assert result.point == {"x": 0}
    assert len([w for w in caught if "journal" in str(w.message)]) == 1


def test_a_resumed_run_repeats_nothing_and_finds_the_same(path) -> None:
    calls = []

    def cost(point) -> float:
        calls.append(point["x"])
        return 1.0 + (point["x"] - 20) ** 2

    def go(configs: int):
        return tune(
            SPACE, InlineEvaluator(cost), "guided", budget=Budget(configs=configs), journal=path, seed=4, write=None,
            finalists=0,
        )  # fmt: skip

    first = go(12)
    assert len(calls) == 12
    second = go(30)
    assert len(calls) == len(set(calls)) == 30
    assert second.statistics.resumed >= 1
    assert {t.key for t in first.trials} <= {t.key for t in second.trials} | set(recorded_keys(path))
    assert second.milliseconds <= first.milliseconds


def recorded_keys(path) -> list[str]:
    return [line["trial"]["key"] for line in read_lines(path) if line.get("event") == "trial"]


def test_tuning_goes_on_without_a_busy_journal(path) -> None:
    identity = {"space": SPACE.fingerprint()}
    journal = Journal(path, identity)
    with pytest.warns(UserWarning, match="without a journal"):
        result = tune(SPACE, InlineEvaluator(lambda p: p["x"] + 1.0), "finite", journal=path, write=None)
    assert result.point == {"x": 0}
    journal.close()


def test_lines_are_json_with_a_header(path) -> None:
    write(path, ONE)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run", "begin", "trial", "left"]
    assert lines[0]["identity"] == {"kernel": "k"}


def test_ctrl_c_before_anything_was_measured_is_held_against_no_candidate(path) -> None:
    def interrupted(point) -> float:
        raise KeyboardInterrupt

    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            tune(SPACE, InlineEvaluator(interrupted), "random", journal=path, write=None)
    result = tune(SPACE, InlineEvaluator(cost), "random", budget=Budget(configs=1), journal=path, write=None)
    assert [t.status for t in result.trials] == [Status.OK]


@pytest.mark.parametrize("budget", [Budget(seconds=0.0), Budget(configs=1), Budget(configs=40)])
def test_a_resumed_run_never_ends_with_less_than_was_measured(path, budget) -> None:
    first = tune(SPACE, InlineEvaluator(cost), "random", seed=1, budget=Budget(configs=40), journal=path, write=None)
    again = tune(SPACE, InlineEvaluator(cost), "random", seed=2, budget=budget, journal=path, write=None)
    assert again.milliseconds <= first.milliseconds


def test_every_way_to_garble_a_journal_costs_lines_and_no_run(path) -> None:
    tune(SPACE, InlineEvaluator(cost), "random", budget=Budget(configs=6), journal=path, write=None)
    whole = path.read_bytes()
    for start in range(0, len(whole), 71):
        for content in (whole[:start], whole[:start] + bytes(40) + whole[start + 40 :], whole[start:]):
            path.write_bytes(content)
            try:
                result = tune(SPACE, InlineEvaluator(cost), "finite", journal=path, write=None)
            except JournalMismatch:
                continue
            assert (result.point, result.milliseconds) == ({"x": 20}, 1.0)


@pytest.mark.parametrize(
    "change", [{"milliseconds": "0.1"}, {"milliseconds": -1}, {"compile_seconds": "x"}, {"facts": 3}, {"message": None},
               {"point": {"x": 20}}, {"point": 7}, {"key": "abc"}, {"status": "ko"}]
)  # fmt: skip
def test_lines_that_no_run_wrote_are_passed_over(path, change) -> None:
    write(path, ONE)
    lines = path.read_text().splitlines()
    event = json.loads(lines[2])
    event["trial"].update(change)
    path.write_text("\n".join([*lines[:2], json.dumps(event), '{"event":"begin"}', '{"event":"trial"}', ""]))
    journal = open_journal(path)
    assert journal.trials == {}
    journal.close()


def test_lines_without_a_header_are_of_no_known_problem(path) -> None:
    write(path, ONE)
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    journal = open_journal(path)
    assert journal.trials == {}
    journal.close()
