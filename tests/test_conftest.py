"""The repository's own pytest plugin, run on small projects of its own."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = ["--import-mode=importlib", "--strict-markers"]
        markers = ["gpu: needs a GPU"]
        """
    )
    pytester.makeconftest((ROOT / "conftest.py").read_text())
    return pytester


GOLDEN_TEST = """
def test_golden(golden):
    golden("kernel.py", "a = 1\\nb = {value}")
"""


def test_golden_file_is_written_then_compared(project: pytest.Pytester):
    project.makepyfile(test_it=GOLDEN_TEST.format(value=2))
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no golden file *golden/kernel.py: write it with --update-golden*"])

    project.runpytest_inprocess("--update-golden").assert_outcomes(passed=1)
    assert (project.path / "golden" / "kernel.py").read_text() == "a = 1\nb = 2\n"
    project.runpytest_inprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["plain", "xdist"])
def test_golden_file_that_differs_is_shown_as_a_diff(project: pytest.Pytester, workers: tuple[str, ...]):
    project.makepyfile(test_it=GOLDEN_TEST.format(value=2))
    project.runpytest_subprocess("--update-golden", *workers).assert_outcomes(passed=1)
    (project.path / "test_it.py").write_text(GOLDEN_TEST.format(value=30))
    result = project.runpytest_subprocess(*workers)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["output differs from *", "--- *kernel.py (golden)", "+++ this run", " a = 1", "-b = 2", "+b = 30"]
    )


def test_same_file_name_in_two_folders_has_golden_files_apart(project: pytest.Pytester):
    for folder, value in [("one", 1), ("two", 2)]:
        (project.path / folder).mkdir()
        (project.path / folder / "test_it.py").write_text(GOLDEN_TEST.format(value=value))
    project.runpytest_inprocess("--update-golden").assert_outcomes(passed=2)
    project.runpytest_inprocess().assert_outcomes(passed=2)
    assert (project.path / "two" / "golden" / "kernel.py").read_text().endswith("b = 2\n")


def test_golden_name_with_a_folder_is_refused(project: pytest.Pytester):
    project.makepyfile("def test_golden(golden):\n    golden('../kernel.py', '')\n")
    project.runpytest_inprocess("--update-golden").assert_outcomes(failed=1)
    assert not (project.path / "kernel.py").exists()


def fake_torch(project: pytest.Pytester, *, gpu: bool) -> None:
    """A torch that says what it is told, and imports in no time."""
    (project.path / "torch.py").write_text(f"class cuda:\n    is_available = staticmethod(lambda: {gpu})\n")
    project.makepyfile(
        """
        import pytest

        @pytest.mark.gpu
        @pytest.mark.parametrize("size", [1, 2])
        def test_on_the_gpu(size):
            pass

        @pytest.mark.skip(reason="some other reason")
        def test_skipped_for_another_reason():
            pass

        def test_anywhere():
            pass
        """
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["plain", "xdist"])
def test_gpu_tests_are_skipped_and_counted_without_a_gpu(project: pytest.Pytester, workers: tuple[str, ...]):
    fake_torch(project, gpu=False)
    result = project.runpytest_subprocess(*workers)
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["2 tests skipped for lack of a CUDA GPU"])


def test_gpu_tests_run_on_a_gpu(project: pytest.Pytester):
    fake_torch(project, gpu=True)
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.no_fnmatch_line("*for lack of a CUDA GPU*")
