"""What the tests share: no test sees the user's tables; sums of random numbers are the same at every run."""

from __future__ import annotations

import pytest
import torch

from helion_kernels import settings
from helion_kernels.frame import tables


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("HELION_CACHE_DIR", str(tmp_path / "cache"))
    tables.tables.cache_clear()
    torch.manual_seed(0)
    yield
    tables.tables.cache_clear()


@pytest.fixture
def interpret():
    """CPU tensors are computed by our kernels."""
    with settings.override("interpret"):
        yield
