"""The catalogue of errors: codes, texts, places, pickling."""

import pickle
import string

import pytest

from helion import exc
from helion.location import Location


def catalogue(root=exc.Base):
    for cls in root.__subclasses__():
        yield cls
        yield from catalogue(cls)


ERRORS = sorted(set(catalogue()), key=lambda cls: cls.code)


def fields_of(cls) -> dict[str, str]:
    names = [n for text in (cls.message, cls.hint) for _, n, _, _ in string.Formatter().parse(text) if n]
    return {name: f"<{name}>" for name in names}


def test_codes_are_unique_and_well_formed():
    codes = [cls.code for cls in ERRORS]
    assert len(set(codes)) == len(codes) > 30
    assert all(code[:3] == "HLN" and code[3:].isdigit() and len(code) == 6 for code in codes)


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_each_error_shows_its_fields_place_and_code_and_pickles(cls, tmp_path):
    file = tmp_path / "user.py"
    file.write_text("first\n    out[tile] = broken(x)\n")
    fields = fields_of(cls)
    error = cls(location=Location(str(file), 2, 16, 25), **fields)
    text = str(error)
    assert text.startswith(f"[{cls.code}] ")
    assert all(value in text for value in fields.values())
    assert f"{file}:2:17" in text
    assert "broken(x)\n" in text and text.count("^") == len("broken(x)")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls and str(again) == text and again.location == error.location
    assert isinstance(error, RuntimeError)


def test_the_place_is_where_the_error_was_made_unless_it_is_given():
    error = exc.DataDependentShape(op="nonzero")
    assert error.location.filename == __file__ and "exc.DataDependentShape(op=" in str(error)
    error = exc.DataDependentShape(op="nonzero", location=Location("a.py", 1))
    assert "a.py:1" in str(error) and __file__ not in str(error)


def test_a_message_may_be_reworded_once_more_is_known():
    error = exc.DataDependentShape(op="old")
    assert error.reworded(lambda text: text.replace("old", "new")) is error
    assert "new has a result" in str(error) and "old" not in str(error.fields)


def test_the_caret_stands_below_the_expression(tmp_path):
    file = tmp_path / "user.py"
    file.write_text("if x:\n        y = a + b\n")
    assert Location(str(file), 2, 12, 17).show().splitlines() == [
        f"  --> {file}:2:13",
        "   |",
        " 2 | y = a + b",
        "   |     ^^^^^",
    ]


def test_a_place_whose_source_is_gone_shows_no_caret():
    assert Location("nowhere.py", 3).show() == "  --> nowhere.py:3:1"
