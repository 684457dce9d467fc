"""Whose code a file holds."""

import pytest
import triton

from helion import location


@pytest.fixture
def triton_from_source(tmp_path, monkeypatch):
    """The folder that Triton runs from, which is not one of installed packages."""
    monkeypatch.setattr(triton, "__path__", [str(tmp_path / "checkout" / "triton")])
    location.is_user_file.cache_clear()
    yield tmp_path / "checkout"
    location.is_user_file.cache_clear()


def test_libraries_that_run_from_their_source_are_libraries(triton_from_source):
    assert not location.is_user_file(str(triton_from_source / "triton" / "language" / "core.py"))
    assert location.is_file_of("triton", str(triton_from_source / "triton" / "language" / "core.py"))


def test_files_beside_a_library_are_the_users(triton_from_source):
    assert location.is_user_file(str(triton_from_source / "tritonlike" / "kernels.py"))
    assert not location.is_file_of("never_imported", str(triton_from_source / "kernels.py"))
