"""A few of the random programs of `generate.py`, with fixed seeds; its command runs as many as there is time for."""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import generate  # type: ignore[import-not-found]


@pytest.mark.parametrize("seed", range(12))
def test_program(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = generate.check(seed)
    assert problem is None, problem


@pytest.mark.slow
def test_many_programs():
    problems = [problem for seed in range(1000, 1400) if (problem := generate.check(seed)) is not None]
    assert not problems, "\n".join(problems)


def test_a_failing_program_is_shortened(monkeypatch):
    monkeypatch.setattr(
        generate, "failure", lambda program, **options: any("abs" in x.text for x in program.lines) or None
    )
    program = next(p for seed in range(99) if generate.failure(p := generate.Maker(seed).program()))
    small = generate.shortened(program)
    assert len(small.lines) <= len(program.lines) and generate.failure(small)
