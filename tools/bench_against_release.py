"""Benchmarks of this checkout against those of the last release, on one machine.

Usage: `python tools/bench_against_release.py [--report DIR] [--fresh] [--tag v1.2.3] [options of helion-bench run]`

The last release is the latest tag `v*` that this commit descends from. Its baseline is taken from the store of
helion-bench; where this machine's GPU has none of these options yet, or with `--fresh`, the release is measured first:
its four packages are installed from a worktree of the tag into an environment of their own, beside the torch that is
here. Then this checkout is measured with the same options and compared. Without a release there is nothing to compare
with, and only right and wrong are judged.

Exit status: that of helion-bench, 1 if a case of ours is slower, wrong or gone; 2 if the release cannot be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

from helion_bench.results.errors import ResultsError
from helion_bench.results.model import Run
from helion_bench.results.store import Store
from helion_bench.settings import results_folder

ROOT = Path(__file__).parents[1]
PACKAGES = ("helion-autotune", "helion-core", "helion-kernels", "helion-bench")


def last_release(root: Path) -> str | None:
    """The latest tag `v*` behind HEAD, not on it: a release is compared with the one before."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return done.stdout.strip() or None


@contextlib.contextmanager
def worktree(root: Path, tag: str) -> Iterator[Path]:
    """The files of `tag`, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="helion-release-") as folder:
        path = Path(folder) / "source"
        subprocess.run(["git", "worktree", "add", "--detach", str(path), tag], cwd=root, check=True)
        try:
            yield path
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(path)], cwd=root, check=True)


def measure_release(root: Path, tag: str, options: Sequence[str], result: Path) -> None:
    """Run the benchmarks of `tag` and leave the run in `result`. Raises CalledProcessError if that cannot be done."""
    with worktree(root, tag) as source, tempfile.TemporaryDirectory(prefix="helion-release-env-") as folder:
        venv.create(folder, system_site_packages=True, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        packages = [str(source / "packages" / package) for package in PACKAGES]
        subprocess.run([python, "-m", "pip", "--quiet", "install", "--no-deps", *packages], cwd=folder, check=True)
        command = [python, "-m", "helion_bench", "run", *options, "--fail-on", "none", "--json", str(result)]
        subprocess.run(command, cwd=folder, check=True)


def gpu_of(options: Sequence[str]) -> str:
    """The name under which results of these options are kept."""
    from helion_bench.measure.machine import machine

    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    return machine(parser.parse_known_args(options)[0].device).gpu


def ensure_baseline(root: Path, tag: str, options: Sequence[str], *, fresh: bool) -> None:
    """See to it that the store has the baseline `tag` for this machine."""
    store = Store(results_folder())
    if not fresh:
        with contextlib.suppress(ResultsError):
            if measured_with(store.find(tag, gpu_of(options)), options):
                print(f"baseline of {tag}: from {store.root}", flush=True)
                return
            print(f"the baseline of {tag} is of other options: it is measured again", flush=True)
    with tempfile.TemporaryDirectory(prefix="helion-baseline-") as folder:
        result = Path(folder) / "release.json"
        measure_release(root, tag, options, result)
        store.save(store.find(str(result)), tag, replace=True)


def measured_with(run: Run, options: Sequence[str]) -> bool:
    """Whether `run` was made by `measure_release` with these options: with others, cases would seem to be gone."""
    return run.command[1 : len(options) + 4] == ("run", *options, "--fail-on", "none")


def run_here(tag: str | None, options: Sequence[str], report: Path | None) -> int:
    """Measure this checkout, compare, write the reports; returns the exit status of helion-bench."""
    command = [sys.executable, "-m", "helion_bench", "run", *options]
    command += ["--against", tag, "--fail-on", "slower,wrong,missing"] if tag else ["--fail-on", "wrong"]
    if report is not None:
        for option, name in (("--json", "run.json"), ("--html", "report.html"), ("--markdown", "report.md")):
            command += [option, str(report / name)]
    return subprocess.run(command).returncode


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Benchmarks of this checkout against those of the last release.")
    parser.add_argument("--report", type=Path, metavar="DIR", help="folder for run.json, report.html, report.md")
    parser.add_argument("--fresh", action="store_true", help="measure the release again")
    parser.add_argument("--tag", help="the release (default: the last one behind this commit)")
    parser.epilog = "Everything else goes to helion-bench run, for the release and for this checkout."
    arguments, options = parser.parse_known_args(argv)
    tag = arguments.tag or last_release(ROOT)
    if tag is None:
        print("no release yet: results are checked, nothing is compared", flush=True)
    else:
        try:
            ensure_baseline(ROOT, tag, options, fresh=arguments.fresh)
        except (subprocess.CalledProcessError, ResultsError) as error:
            print(f"the release {tag} cannot be measured: {error}", file=sys.stderr)
            return 2
    return run_here(tag, options, arguments.report)


if __name__ == "__main__":
    sys.exit(main())
