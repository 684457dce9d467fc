"""docs/errors.md is what the generator writes."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

TOOL = Path(__file__).parents[4] / "tools" / "generate_error_docs.py"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the page shows carets, which need Python 3.11")
@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="the page quotes messages of torch 2.13")
@pytest.mark.skipif(not TOOL.exists(), reason="the generator is part of the repository, not of the package")
def test_the_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("generate_error_docs", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.TARGET.read_text() == tool.page(), "run python tools/generate_error_docs.py"
