"""Every mistake of the table: which error, where it points, what it says, what its traceback ends with."""

import re
import sys
import traceback
from pathlib import Path

import pytest
from mistakes import MISTAKES

from helion import exc
from helion.location import is_own_file

COLUMNS = sys.version_info >= (3, 11)
TABLE = str(Path(__file__).parent / "mistakes")
# What torch calls sizes while tracing, its classes and ours that no author has heard of.
SYMBOLS = re.compile(r"\b(s|u|zf|zuf)\d+\b|TileTensor|FakeTensor|SymInt|NestedInt|TreeSpec")


def test_the_table_is_long_and_its_names_are_unique():
    names = [m.name for m in MISTAKES]
    assert len(set(names)) == len(names) > 300


@pytest.mark.parametrize("case", MISTAKES, ids=lambda m: m.name)
def test_mistake(case):
    error = case.provoke()
    assert error is not None, "the mistake passes"
    assert type(error) is case.error, "".join(traceback.format_exception(error))
    missing = [text for text in case.says if text not in str(error)]
    assert not missing, f"{missing} not in: {error}"
    check_place(case, error)
    if isinstance(error, exc.Base):
        check_message(error)


def check_place(case, error):
    """The error, and the innermost frame of its traceback, stand at the piece of source that the table names."""
    place = case.place()
    if place is None:
        return
    line, column = place
    if isinstance(error, exc.Base):
        assert error.location is not None
        assert (error.location.filename, error.location.line) == (case.function.__code__.co_filename, line)
        if COLUMNS:
            assert error.location.column == column
        assert f"{Path(TABLE).name}/{Path(error.location.filename).name}:{line}" in str(error)
    if case.started:
        frames = traceback.extract_tb(error.__traceback__)
        assert frames[-1].filename.startswith(TABLE) and frames[-1].lineno == line, frames[-1]


def check_message(error):
    """A code, a caret below the source line, a help line; no name from the inside of torch or of the tracer."""
    lines = str(error).splitlines()
    assert lines[0].startswith(f"[{error.code}] ")
    assert any(set(text.partition("|")[2].strip()) == {"^"} for text in lines)
    assert lines[-1].startswith("  help: ") and len(lines[-1]) > len("  help: ")
    source = error.location.text.strip()
    told = "\n".join(text for text in lines if source not in text)
    assert not SYMBOLS.search(told), told


def test_exceptions_that_stay_show_the_place():
    if not COLUMNS:
        pytest.skip("exceptions take notes since Python 3.11")
    case = next(m for m in MISTAKES if m.name == "division_of_constants_by_zero")
    error = case.provoke()
    assert any("1 // 0" in note and "^^^" in note for note in error.__notes__)


def test_no_frame_of_ours_follows_the_authors():
    case = next(m for m in MISTAKES if m.name == "mistake_in_a_helper_of_a_helper")
    frames = traceback.extract_tb(case.provoke().__traceback__)
    own = [k for k, frame in enumerate(frames) if is_own_file(frame.filename)]
    author = [k for k, frame in enumerate(frames) if frame.filename.startswith(TABLE)]
    assert max(own) < max(author)
    assert [frames[k].name for k in author if k > max(own)][-2:] == ["outer_helper", "centred"]


def test_the_cause_of_a_failed_operation_is_kept():
    case = next(m for m in MISTAKES if m.name == "softmax_over_a_missing_dim")
    assert isinstance(case.provoke().__cause__, IndexError)
