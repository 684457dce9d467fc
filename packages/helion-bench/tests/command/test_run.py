"""`helion-bench run` over a runner that measures nothing: what is kept, shown, resumed and judged."""

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from helion_bench.__main__ import main
from helion_bench.command import run as run_module
from helion_bench.command.keeping import Keeper
from helion_bench.command.progress import _bar
from helion_bench.errors import InvalidRequest
from helion_bench.request import OpListing, Request
from helion_bench.results.errors import ResultsError
from helion_bench.results.model import Backend, Cell, Run, Status
from helion_bench.results.store import Store, read_run
from helion_bench.testing.synthetic import BACKENDS, row_cases, synthetic_run

CASES = row_cases(2, 3)
PLANTED = {(CASES[0].op, CASES[0].shape): 1.5}


@dataclass
class FakePlan:
    run: Run
    size: int


@dataclass
class FakeRunner:
    """Gives out the cells of a synthetic run, one after the other; stops or dies when told to."""

    whole: Run = field(default_factory=lambda: synthetic_run(7, CASES))
    interrupt_after: int | None = None
    die_after: int | None = None
    out_of_time: bool = False
    requests: list[Request] = field(default_factory=list)
    told: list[Cell] = field(default_factory=list)

    def plan(self, request: Request) -> FakePlan:
        self.requests.append(request)
        if "nonsense" in request.ops:
            raise InvalidRequest("there is no op 'nonsense'", known=["softmax"])
        number = len(self.requests)
        empty = dataclasses.replace(self.whole, cells=(), complete=False, command=request.command, id=f"run{number}")
        return FakePlan(empty, 0 if "nothing" in request.shapes else len(self.whole.cells))

    def run(self, plan: FakePlan, on_cell: Callable[[Cell], None], resume_from: Run | None = None) -> Run:
        taken = resume_from.by_key if resume_from else {}
        cells = list(taken.values())
        fresh = [cell for cell in self.whole.cells if cell.key not in taken]
        for count, cell in enumerate(fresh):
            if count == self.die_after:
                raise RuntimeError("the runner itself is broken")
            if count == self.interrupt_after:
                return dataclasses.replace(plan.run, cells=tuple(cells), seconds=1.0, out_of_time=self.out_of_time)
            self.told.append(cell)
            cells.append(cell)
            on_cell(cell)
        return dataclasses.replace(plan.run, cells=tuple(cells), seconds=1.0, complete=True)

    def list_ops(self) -> list[OpListing]:
        return [OpListing("softmax", ("8192x8192",), ("bfloat16",), ("fwd", "bwd"))]

    def list_backends(self, device: str, tritonbench: str | None = None) -> tuple[Backend, ...]:
        if tritonbench is not None:
            raise InvalidRequest(f"{tritonbench} is no checkout")
        return BACKENDS


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeRunner:
    made = FakeRunner()
    monkeypatch.setenv("HELION_BENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(run_module, "load_runner", lambda: made)
    monkeypatch.setattr("helion_bench.command.listing.load_runner", lambda: made)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_a_run_is_shown_kept_and_written(runner: FakeRunner, store: Store, tmp_path: Path, capsys):
    file = tmp_path / "run.json"
    assert main(["run", "softmax", "--json", str(file), "--quick", "--dtypes", "bfloat16,float32"]) == 0
    captured = capsys.readouterr()
    assert "helion against its peers" in captured.out
    assert "36/36 layer_norm/4096x2048/float32/fwd liger: missing, liger-kernel is not installed" in captured.err
    assert read_run(file) == store.last()
    assert store.find("last").cells == runner.whole.cells
    request = runner.requests[0]
    assert (request.ops, request.quick, request.dtypes) == (("softmax",), True, ("bfloat16", "float32"))
    assert request.passes == ("fwd", "bwd")


def test_unknown_names_are_refused_with_what_there_is(runner: FakeRunner, store: Store, capsys):
    assert main(["run", "nonsense"]) == 2
    assert "there is: softmax" in capsys.readouterr().err
    assert main(["run", "--shapes", "nothing"]) == 2
    assert "leaves nothing to run" in capsys.readouterr().err
    assert store.runs() == []


@pytest.mark.parametrize("option", ["--results", "--json", "--html", "--csv", "--markdown"])
def test_what_cannot_be_written_is_said_before_anything_is_measured(runner: FakeRunner, tmp_path: Path, option, capsys):
    file = tmp_path / "file"
    file.touch()
    assert main(["run", "softmax", option, str(file / "out")]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert main(["run", "softmax", "--json", str(tmp_path)]) == 2
    assert "it is a folder" in capsys.readouterr().err
    assert not runner.told


def test_an_interrupted_run_is_kept_and_resumed(runner: FakeRunner, store: Store, capsys):
    runner.interrupt_after = 10
    assert main(["run", "softmax", "layer_norm", "--quick"]) == 130
    captured = capsys.readouterr()
    assert "10 of 36 cells. To go on: helion-bench run softmax layer_norm --quick --resume" in captured.err
    assert "interrupted" in captured.out
    assert len(store.find("run1").cells) == 10

    runner.interrupt_after = None
    runner.told.clear()
    assert main(["run", "softmax", "layer_norm", "--quick", "--resume"]) == 0
    assert len(runner.told) == 26
    whole = store.find("run1")
    assert whole.complete
    assert whole.cells == runner.whole.cells
    assert len(store.runs()) == 1


def test_there_must_be_something_to_resume(runner: FakeRunner, store: Store, capsys):
    assert main(["run", "--resume"]) == 2
    assert "no unfinished run of this command" in capsys.readouterr().err
    runner.interrupt_after = 3
    main(["run", "softmax"])
    assert main(["run", "--resume"]) == 2
    assert "unfinished are: helion-bench run softmax" in capsys.readouterr().err


def test_a_run_of_other_versions_is_not_resumed(runner: FakeRunner, store: Store, capsys):
    runner.interrupt_after = 3
    main(["run"])
    runner.whole = dataclasses.replace(runner.whole, software=dataclasses.replace(runner.whole.software, torch="9.9"))
    assert main(["run", "--resume"]) == 2
    assert "torch 2.11.0 then, 9.9 now" in capsys.readouterr().err


def test_a_spent_time_budget_is_no_failure(runner: FakeRunner, store: Store, capsys):
    runner.interrupt_after, runner.out_of_time = 3, True
    assert main(["run", "--seconds", "60"]) == 0
    captured = capsys.readouterr()
    assert "--seconds 60 --resume" in captured.err and "out of time: not every case" in captured.out


def test_a_runner_that_dies_leaves_what_it_told(runner: FakeRunner, store: Store):
    runner.die_after = 5
    with pytest.raises(RuntimeError, match="itself is broken"):
        main(["run"])
    assert len(store.find("last").cells) == 5


def test_a_baseline_is_looked_up_before_anything_is_measured(runner: FakeRunner, capsys):
    assert main(["run", "--against", "v9"]) == 2
    assert "no baseline or file 'v9'" in capsys.readouterr().err
    assert runner.told == []
    assert main(["run", "--fail-on", "slower"]) == 2
    assert "--against" in capsys.readouterr().err


def test_a_slower_case_fails_a_run(runner: FakeRunner, store: Store, tmp_path: Path, capsys):
    main(["run"])
    main(["save", "v0.1"])
    assert main(["run", "--against", "v0.1", "--fail-on", "slower"]) == 0
    runner.whole = synthetic_run(8, CASES, slower=PLANTED)
    file = tmp_path / "pr.md"
    assert main(["run", "--against", "v0.1", "--fail-on", "slower,missing", "--markdown", str(file)]) == 1
    captured = capsys.readouterr()
    assert "failed (--fail-on slower,missing): 1 slower" in captured.err
    assert "v0.1 → run3: 1 slower" in captured.out
    assert "**slower**" in file.read_text()


def test_a_wrong_result_of_ours_fails_a_run_unless_told_not_to(runner: FakeRunner, capsys):
    cell = next(c for c in runner.whole.cells if c.backend == "helion")
    runner.whole = runner.whole.with_cells([dataclasses.replace(cell, status=Status.WRONG, reason="nan")])
    assert main(["run"]) == 1
    assert "1 wrong" in capsys.readouterr().err
    assert main(["run", "--fail-on", "none"]) == 0


def test_a_wrong_result_of_a_peer_does_not(runner: FakeRunner):
    cell = next(c for c in runner.whole.cells if c.backend == "eager")
    runner.whole = runner.whole.with_cells([dataclasses.replace(cell, status=Status.ERROR, reason="nan")])
    assert main(["run"]) == 0


def test_list_says_what_is_here_and_why_not(runner: FakeRunner, capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for text in ("8192x8192", "liger-kernel is not installed", "nothing is stored"):
        assert text in out


def test_a_checkout_that_is_none_is_refused(runner: FakeRunner, capsys):
    assert main(["list", "--tritonbench", "nowhere"]) == 2
    assert "nowhere is no checkout" in capsys.readouterr().err


def test_progress_on_a_terminal(runner: FakeRunner, capsys, monkeypatch):
    cell = next(c for c in runner.whole.cells if c.backend == "helion")
    runner.whole = runner.whole.with_cells([dataclasses.replace(cell, status=Status.ERROR, reason="[boom]")])
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["run", "--fail-on", "none"]) == 0
    err = capsys.readouterr().err
    assert "error" in err
    assert "[boom]" in err


def test_how_far_it_is_stays_whole_on_a_narrow_terminal(runner: FakeRunner):
    console = Console(width=60, force_terminal=True, file=io.StringIO(), color_system=None)
    bar = _bar(console)
    task = bar.add_task("linear_cross_entropy/4096x4096x32000/bfloat16/fwd+bwd helion-default: 4760 µs", total=1233)
    bar.update(task, advance=77)
    with console.capture() as captured:
        console.print(bar.get_renderable())
    (line,) = captured.get().splitlines()
    assert "77/1233" in line and "0:00:0" in line and "linear_cross" in line and cell_len(line) <= 60


def test_an_empty_run_is_not_kept(runner: FakeRunner, store: Store, capsys):
    runner.interrupt_after = 0
    assert main(["run"]) == 130
    assert "interrupted before anything was measured" in capsys.readouterr().err
    runner.out_of_time = True
    assert main(["run", "--seconds", "0.5"]) == 2
    assert "0.5 seconds are over before anything is measured" in capsys.readouterr().err
    runner.die_after, runner.interrupt_after = 0, None
    with pytest.raises(RuntimeError):
        main(["run"])
    assert store.runs() == []


def test_last_is_the_run_before_this_one(runner: FakeRunner, store: Store, capsys):
    main(["run"])
    runner.whole = synthetic_run(8, CASES, slower=PLANTED)
    assert main(["run", "--against", "last", "--fail-on", "slower"]) == 1
    assert "run1 → run2: 1 slower" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "csv", "markdown", "html"])
def test_a_dash_is_standard_output_and_holds_nothing_else(runner: FakeRunner, store: Store, tmp_path, form, capsys):
    file = tmp_path / "file"
    assert main(["run", f"--{form}", "-"]) == 0
    captured = capsys.readouterr()
    assert main(["report", "last", f"--{form}", str(file)]) == 0
    assert captured.out == file.read_text()
    assert "helion against its peers" in captured.err and "wrote" not in captured.err
    assert not Path("-").exists()


def test_two_reports_do_not_go_to_one_place(runner: FakeRunner, capsys):
    assert main(["run", "--csv", "-", "--json", "-"]) == 2
    assert "two reports cannot go to standard output" in capsys.readouterr().err
    assert main(["run", "--csv", "x", "--html", "x"]) == 2
    assert "two reports cannot go to x" in capsys.readouterr().err
    assert not runner.told


def test_a_full_disk_ends_no_run(runner: FakeRunner, store: Store, monkeypatch, capsys):
    def full(run: Run) -> Path:
        raise ResultsError("cannot write run1.json: No space left on device")

    monkeypatch.setattr(Store, "put", lambda self, run: full(run))
    assert main(["run", "--csv", "-"]) == 2
    captured = capsys.readouterr()
    assert len(runner.told) == 36 and len(captured.out.splitlines()) == 37, "all is measured, and shown"
    assert captured.err.count("nothing is kept until that can be written again") == 1
    assert "error: cannot write run1.json: No space left on device" in captured.err


@pytest.mark.parametrize(("seconds", "writes"), [(0.01, 36), (1.0, 2), (0.0, 36)])
def test_writing_on_the_way_takes_a_twentieth_of_the_time(seconds, writes, tmp_path, monkeypatch):
    run, now, kept = synthetic_run(7, CASES), [0.0], []

    class Slow(Store):
        def put(self, run: Run) -> Path:
            kept.append(len(run.cells))
            now[0] += seconds
            return tmp_path

    monkeypatch.setattr("helion_bench.command.keeping.time.monotonic", lambda: now[0])
    keeper = Keeper(Slow(tmp_path), dataclasses.replace(run, cells=()), pytest.fail)
    for cell in run.cells:
        now[0] += 1.0
        keeper.add(cell)
    assert len(kept) == writes and kept[0] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8192x8192", ("8192x8192",)),
        ("8*,rows=3,cols=5,7x100", ("8*", "rows=3,cols=5", "7x100")),
        ("rows=3,cols=5,rows=4,cols=5", ("rows=3,cols=5", "rows=4,cols=5")),
    ],
)
def test_shapes_on_the_command_line(runner: FakeRunner, text, expected):
    main(["run", "--shapes", text, "--dtypes", "bf16,float32,bfloat16"])
    assert runner.requests[0].shapes == expected
    assert runner.requests[0].dtypes == ("bfloat16", "float32")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--seconds", "abc", "expected a number above 0, not abc"),
        ("--seconds", "nan", "expected a number above 0, not nan"),
        ("--min-effect", "5", "0.05 is 5 %"),
        ("--shapes", ",", "nothing is named"),
    ],
)
def test_values_that_are_none(option, value, told, capsys):
    with pytest.raises(SystemExit):
        main(["run", option, value])
    assert told in capsys.readouterr().err
