"""The command line is run in the process of the tests: what files put into it goes away again."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _leaves_no_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("helion_file_"):
            del sys.modules[name]
