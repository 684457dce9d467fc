"""The commands that read what is stored: `compare`, `report`, `save`, `list runs`."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

import helion_bench
from helion_bench.__main__ import main
from helion_bench.command.outputs import history_of
from helion_bench.results.store import Store, read_run
from helion_bench.testing.synthetic import fill, row_cases, synthetic_run

FIXTURES = Path(__file__).parents[1] / "fixtures"
BEFORE, AFTER = (str(FIXTURES / f"synthetic_{name}.json") for name in ("before", "after"))

BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "triton", "helion", "helion_kernels"):
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Block())
import helion_bench
from helion_bench.__main__ import main
code = main(sys.argv[1:])
assert not {"torch", "triton", "helion"} & set(sys.modules)
sys.exit(code)
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HELION_BENCH_RESULTS", str(tmp_path / "results"))
    made = Store(tmp_path / "results")
    fill(made)
    return made


def test_compare_files(capsys: pytest.CaptureFixture[str]):
    assert main(["compare", BEFORE, AFTER]) == 0
    out = capsys.readouterr().out
    assert "1 slower, 0 faster, 21 same, 5 unclear, 5 missing" in out
    assert "softmax/2048x1536/bfloat16/fwd" in out


@pytest.mark.parametrize(
    ("condition", "status"), [("slower", 1), ("missing", 1), ("wrong", 1), ("slower,wrong", 1), ("none", 0)]
)
def test_compare_fails_on_what_is_asked_for(condition: str, status: int, capsys: pytest.CaptureFixture[str]):
    assert main(["compare", BEFORE, AFTER, "--fail-on", condition]) == status
    assert ("failed" in capsys.readouterr().err) == bool(status)
    assert main(["compare", BEFORE, BEFORE, "--fail-on", condition]) == 0


def test_compare_takes_a_larger_minimum_effect(capsys: pytest.CaptureFixture[str]):
    assert main(["compare", BEFORE, AFTER, "--min-effect", "0.5", "--fail-on", "slower"]) == 0
    assert "0 slower" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["compare", BEFORE, AFTER, "--markdown", "c.md"], ["report", AFTER, "--html", "r.html", "--csv", "r.csv"]],
    ids=["compare", "report"],
)
def test_torch_is_not_needed(arguments: list[str], tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments, "--results", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in arguments:
        if name.startswith(("c.", "r.")):
            assert (tmp_path / name).stat().st_size > 1000


def test_save_and_compare_by_name(store: Store, capsys: pytest.CaptureFixture[str]):
    assert main(["save", "v0.1", "synthetic-before"]) == 0
    assert main(["compare", "v0.1", "synthetic-after"]) == 0
    assert "v0.1 → synthetic-after: 1 slower" in capsys.readouterr().out
    assert main(["save", "v0.1"]) == 0, "the last run is of another GPU"
    assert main(["save", "v0.1"]) == 2
    assert "--replace overwrites" in capsys.readouterr().err
    assert main(["save", "v0.1", "--replace"]) == 0


def test_report_against_a_baseline_writes_every_format(store: Store, tmp_path: Path):
    main(["save", "v0.1", "synthetic-before"])
    files = {name: tmp_path / f"report.{name}" for name in ("html", "csv", "markdown")}
    options = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    assert main(["report", "synthetic-after", "--against", "v0.1", *options]) == 0
    assert all(file.exists() for file in files.values())
    assert "History: 2 runs" in files["html"].read_text()
    assert "1 slower" in files["html"].read_text()
    assert "1 slower" in files["markdown"].read_text()


def test_history_is_of_complete_runs_of_these_cases_on_this_gpu(tmp_path: Path):
    store, cases = Store(tmp_path), row_cases(1, 5)
    runs = [synthetic_run(seed, cases) for seed in range(4)]
    for run in runs:
        store.put(run)
    store.put(dataclasses.replace(runs[0], id="unfinished", complete=False))
    store.put(synthetic_run(0, row_cases(1, 2), identity="few"))
    store.put(dataclasses.replace(runs[0], id="other", machine=dataclasses.replace(runs[0].machine, gpu="Other")))
    assert [run.id for run in history_of(runs[2], store)] == ["synthetic-0", "synthetic-1", "synthetic-2"]


def test_list_of_what_is_stored(store: Store, capsys: pytest.CaptureFixture[str]):
    main(["save", "v0.1", "synthetic-before"])
    store.put(read_run(Path(AFTER))).with_name("cut.json").write_text('{"kind":')
    assert main(["list", "runs"]) == 0
    out = capsys.readouterr().out
    assert "baseline of synthetic-before" in out
    assert "unreadable" in out
    assert "synthetic-cpu" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nope", AFTER], "no baseline or file 'nope'"),
        (["compare", "nope.json", AFTER], "cannot read nope.json"),
        (["report", "last"], "no run is stored"),
        (["save", "v1"], "no run is stored"),
        (["save", "../v1", AFTER], "no name for a baseline"),
        (["report", __file__], "is not JSON"),
        (["report", AFTER, "--html", "/dev/null/x.html"], "cannot write /dev/null/x.html"),
    ],
)
def test_refused(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*arguments, "--results", str(tmp_path / "empty")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["run", "--metrics", "speed"], "unknown: speed; there is: latency"),
        (["run", "--passes", "sideways"], "there is: fwd, bwd"),
        (["run", "--fail-on", "faster"], "there is: slower, wrong, missing"),
        (["run", "--seconds", "0"], "above 0"),
        (["run", "--device", "tpu"], "invalid choice"),
        (["list", "everything"], "none of ops, backends, runs"),
    ],
)
def test_wrong_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"helion-bench {helion_bench.__version__}\n"


@pytest.mark.parametrize(
    "command",
    [[str(Path(sys.executable).parent / "helion-bench")], [sys.executable, "-m", "helion_bench"]],
    ids=["script", "module"],
)
def test_installed_command(command: list[str]):
    done = subprocess.run([*command, "compare", BEFORE, BEFORE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "30 same" in done.stdout


@pytest.mark.parametrize(
    ("place", "status", "told"), [("/dev/full", 2, "cannot write to standard output"), ("|", 1, "")]
)
def test_standard_output_that_takes_nothing(place: str, status: int, told: str, tmp_path: Path):
    command = [sys.executable, "-m", "helion_bench", "report", AFTER, "--json", "-", "--results", str(tmp_path)]
    read, write = os.pipe()
    os.close(read)
    with open(place, "w") if place != "|" else os.fdopen(write, "w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == status
    assert told in done.stderr and "Traceback" not in done.stderr


def test_standard_output_that_is_not_utf8(tmp_path: Path):
    """Tables lose signs, reports nothing."""
    command = [sys.executable, "-m", "helion_bench", "report", AFTER, "--results", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    table, report = (
        subprocess.run([*command, *words], capture_output=True, timeout=120, env=environment)
        for words in ((), ("--markdown", "-"))
    )
    assert (table.returncode, report.returncode) == (0, 0), (table.stderr, report.stderr)
    assert b"?" in table.stdout and table.stdout.isascii() and "\N{CHECK MARK}" in report.stdout.decode()
