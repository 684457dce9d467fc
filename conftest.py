"""What every test of the repository shares: the markers `gpu` and `slow`, and golden files.

`golden(name, text)` holds `text` to the file `golden/<name>` beside the test file; `--update-golden` writes the files
instead. Both work under pytest-xdist: the workers compare and write, the controller sums up.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from pathlib import Path

import pytest

NEEDS_GPU = "needs a CUDA GPU"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing to them")
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


@functools.cache
def has_gpu() -> bool:
    import torch  # here, so that a run without GPU tests does not pay for the import

    return torch.cuda.is_available()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_items and not has_gpu():
        for item in gpu_items:
            item.add_marker(pytest.mark.skip(reason=NEEDS_GPU))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.getreports("skipped") if NEEDS_GPU in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests skipped for lack of a CUDA GPU", yellow=True)


def compare_golden(path: Path, text: str, *, update: bool) -> None:
    """Fail the running test unless `text` is what `path` holds; with `update`, make it so.

    Files end with exactly the newline of their last line: a missing one is added to `text`.
    """
    text = text if text.endswith("\n") else text + "\n"
    if update:
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return
    if not path.exists():
        pytest.fail(f"no golden file {path}: write it with --update-golden, then read and commit it", pytrace=False)
    expected = path.read_text()
    if text != expected:
        diff = difflib.unified_diff(
            expected.splitlines(), text.splitlines(), f"{path} (golden)", "this run", lineterm="", n=5
        )
        message = "\n".join([f"output differs from {path}; if the change is meant, run with --update-golden", *diff])
        pytest.fail(message, pytrace=False)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: hold `text` to `golden/<name>` beside the test file; the extension belongs to the name."""
    folder = request.path.parent / "golden"
    update = request.config.getoption("--update-golden")

    def check(name: str, text: str) -> None:
        if Path(name).name != name:
            raise ValueError(f"a golden file's name is one path component, not {name!r}")
        compare_golden(folder / name, text, update=update)

    return check
