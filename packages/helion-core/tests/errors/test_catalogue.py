"""The catalogue is complete: every class is raised by a mistake of the table, or here where only a defect raises it."""

import ast
import builtins
import linecache
import pickle
import re
from pathlib import Path

import pytest
import torch
from mistakes import MISTAKES

import helion
import helion.language as hl
from helion import exc
from helion.trace import indexing
from helion.trace import trace as trace_module

PACKAGE = Path(helion.__file__).parent


def catalogue(root=exc.Base):
    for cls in root.__subclasses__():
        yield cls
        yield from catalogue(cls)


ERRORS = sorted(set(catalogue()), key=lambda cls: cls.code)
ONLY_BY_DEFECT = {exc.InternalError}
WHERE_KERNELS_ARE_TUNED = {exc.CacheMissed, exc.NoWorkingConfig}  # on a GPU, so no mistake of the table gets there
WHERE_GRAPHS_ARE_CAPTURED = {exc.WorkDuringCapture}  # tests/integration
WITH_A_MISTAKE = [
    cls for cls in ERRORS if cls not in ONLY_BY_DEFECT | WHERE_KERNELS_ARE_TUNED | WHERE_GRAPHS_ARE_CAPTURED
]


@pytest.mark.parametrize("cls", WITH_A_MISTAKE, ids=lambda cls: cls.__name__)
def test_each_class_has_a_mistake(cls):
    case = next((m for m in MISTAKES if m.error is cls), None)
    assert case is not None, f"no mistake raises {cls.__name__}: give it one, or remove it"


def test_each_class_is_raised_somewhere():
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "exc.py")
    unused = [cls.__name__ for cls in ERRORS if not re.search(rf"\b{cls.__name__}\(", text)]
    assert not unused
    muted = [n for n, cls in exc.warning_names().items() if cls is not exc.BaseWarning and f"{n}(" not in text]
    assert not muted


def test_nothing_else_is_raised_for_users():
    """`raise` of a plain exception in code that users reach: only where a protocol of Python asks for it."""
    allowed = {"AssertionError", "AttributeError", "KeyError", "IndexError", "StopIteration", "NotImplementedError"}
    found = set()
    for path in [p for folder in ("trace", "frontend", "language") for p in (PACKAGE / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            raised = node.exc.func if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
            if isinstance(raised, ast.Name) and hasattr(builtins, raised.id):
                found.add((path.name, raised.id))
    assert {name for _, name in found} <= allowed, found


def copy_kernel(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].exp()
    return out


def test_our_own_failure_while_tracing_is_an_internal_error(monkeypatch):
    monkeypatch.setattr(trace_module, "program_of", lambda tracer: {}["missing"])
    with pytest.raises(exc.InternalError, match=r"KeyError: 'missing'.*finishing the trace of `copy_kernel`") as caught:
        helion.kernel(copy_kernel).bind((torch.zeros(8),))
    assert "please report it" in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


def test_our_own_failure_in_device_code_is_an_internal_error(monkeypatch):
    monkeypatch.setattr(indexing, "host_tensor", lambda tracer, tensor: None)
    with pytest.raises(exc.InternalError, match="AttributeError: 'NoneType' object has no attribute 'sizes'") as caught:
        helion.kernel(copy_kernel).bind((torch.zeros(8),))
    assert caught.value.location.line == copy_kernel.__code__.co_firstlineno + 3


def test_our_own_failure_while_generating_is_an_internal_error(monkeypatch):
    from helion.emit import module

    monkeypatch.setattr(module, "generate", lambda *args: [][0])
    with pytest.raises(exc.InternalError, match=r"IndexError.*while generating code for helion.Config"):
        helion.kernel(copy_kernel).bind((torch.zeros(8),)).to_triton_code()


@pytest.mark.parametrize(
    "name", ["row_statistic_without_keepdim", "attribute_that_a_tile_does_not_have", "misspelt_setting"]
)
def test_errors_survive_a_process_boundary(name):
    error = next(m for m in MISTAKES if m.name == name).provoke()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)


def test_columns_count_characters():
    source = 'def f(x):\n    for tile in hl.tile(4):\n        größe = "größer als alles"; x[tile] = x[tile] @ "ä"\n'
    linecache.cache["<umlauts>"] = (len(source), None, source.splitlines(keepends=True), "<umlauts>")
    namespace = {"hl": hl, "__name__": "umlauts"}
    exec(compile(source, "<umlauts>", "exec"), namespace)
    with pytest.raises(exc.Base) as caught:
        helion.kernel(namespace["f"]).bind((torch.zeros(4),))
    location = caught.value.location
    if location.end_column > 0:
        assert location.expression == 'x[tile] @ "ä"'
    assert location.line == 3
