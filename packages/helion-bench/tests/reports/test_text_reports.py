"""Plain text, Markdown and CSV of the stored synthetic runs."""

import csv
import dataclasses
import io
import math
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from helion_bench.reports import figures
from helion_bench.reports.csv_file import COLUMNS, csv_text
from helion_bench.reports.markdown import comparison_markdown, markdown
from helion_bench.reports.metrics import METRICS, show_factor
from helion_bench.reports.table import EMPTY, Table, Text, Tone
from helion_bench.reports.tables import _best, headlines, op_tables, problem_table, summary_table
from helion_bench.reports.terminal import Fitted, plain, render_comparison, render_run
from helion_bench.results.compare import compare
from helion_bench.results.model import CaseKey, Cell, Run, Status
from helion_bench.results.speedup import Speedup, speedups
from helion_bench.results.store import read_run
from helion_bench.statistics.interval import Interval
from helion_bench.testing.synthetic import matmul_case, row_cases, synthetic_run

FIXTURES = Path(__file__).parents[1] / "fixtures"


def stored(name: str) -> Run:
    return read_run(FIXTURES / f"synthetic_{name}.json")


@pytest.mark.parametrize("name", ["after", "cpu"])
def test_plain_table(name: str, golden):
    golden(f"run_{name}.txt", plain(render_run(stored(name)), 150))


def test_plain_table_of_every_metric(golden):
    golden("run_all_metrics.txt", plain(render_run(stored("after"), tuple(METRICS)), 200))


def test_plain_comparison(golden):
    golden("comparison.txt", plain(render_comparison(compare(stored("before"), stored("after"))), 170))


def test_markdown(golden):
    run = stored("after")
    golden("run.md", markdown(run, comparison=compare(stored("before"), run)))


def test_markdown_of_a_comparison(golden):
    golden("comparison.md", comparison_markdown(compare(stored("before"), stored("after"))))


def test_csv(golden):
    golden("run.csv", csv_text(stored("after")))


def test_csv_has_every_cell_and_no_column_too_many():
    run = stored("after")
    rows = list(csv.DictReader(io.StringIO(csv_text(run))))
    assert len(rows) == len(run.cells)
    assert tuple(rows[0]) == COLUMNS
    assert {row["status"] for row in rows} == {"ok", "wrong", "error", "timeout", "missing"}


def test_only_the_metrics_asked_for_are_shown():
    text = plain(render_run(stored("after"), ("gbps", "memory")), 150)
    assert "GB/s" in text
    assert "MiB" in text
    assert "TFLOP/s" not in text
    assert "vs" not in text.split("what went wrong")[0]


def test_text_from_outside_cannot_spoil_markdown_or_rich_markup():
    run = stored("after")
    case = run.cells[0].case
    nasty = Cell(case, "helion", Status.ERROR, "a | b\n<script>[red]x[/red] `y`")
    run = run.with_cells([nasty])
    assert r"a \| b \<script\>\[red\]x\[/red\] \`y\`" in markdown(run)
    assert "a | b <script>[red]x[/red] `y`" in plain(render_run(run), 150)


def test_passes_and_peers_are_told_apart_in_the_summary():
    cases = [matmul_case(4096), matmul_case(8192), matmul_case(4096, "bwd"), *row_cases(1, 2)]
    run = synthetic_run(3, cases)
    lost = [c for c in run.cells if c.backend == "vendor" and c.case.pass_ == "bwd"]
    run = run.with_cells([dataclasses.replace(c, status=Status.ERROR, reason="no") for c in lost])
    table = summary_table(run)
    rows = {(row[0].text, row[1].text): dict(zip(table.headers, row, strict=True)) for row in table.rows}
    assert list(rows) == [
        ("matmul", "fwd"), ("matmul", "bwd"), ("softmax", "fwd"), ("all", "fwd"), ("all", "bwd"), ("all", "all"),
    ]  # fmt: skip
    assert rows["matmul", "bwd"]["vs vendor"] == EMPTY != rows["matmul", "fwd"]["vs vendor"]
    forward = [s.against["eager"].value for s in speedups(run, "helion") if s.case in cases[:2]]
    assert rows["matmul", "fwd"]["vs eager"].text == f"{math.prod(forward) ** 0.5:.2f}×"
    assert "liger" not in " ".join(table.headers)
    assert [rows[key]["cases"].text for key in rows] == ["2", "1", "2", "4", "1", "5"]
    best = [s.best for s in speedups(run, "helion")]
    assert sorted(rows["all", "all"]["best peers"].text.split(", ")) == sorted(
        f"{name} {best.count(name)}" for name in set(best)
    )


def test_the_rarest_of_many_best_peers_stand_together():
    def best(*names: str) -> str:
        return _best([Speedup(matmul_case(8), "helion", {}, name) for name in names])

    assert best("eager") == best("eager", "eager") == "eager"
    assert best(*"aabcd") == "a 2, b 1, c 1, d 1"
    assert best(*"aaabbccde") == "a 3, b 2, c 2, others 2"


@pytest.mark.parametrize(
    ("low", "high", "tone"),
    [(1.03, 1.1, Tone.GOOD), (1.0, 1.1, Tone.PLAIN), (0.9, 0.97, Tone.BAD), (0.97, 0.99, Tone.PLAIN)],
)
def test_colours_are_those_of_wins_ties_and_losses(low: float, high: float, tone: Tone):
    assert show_factor(Interval(1.0, low, high), False).tone is tone


def test_clocks_are_those_of_the_rounds_and_seconds_are_added_up():
    run = stored("after")
    idle = dataclasses.replace(run, machine=dataclasses.replace(run.machine, sm_clock_mhz=345))
    assert "Synthetic GPU, up to 1980 MHz, 700 W" in headlines(idle)[0]
    cells = [
        dataclasses.replace(cell, latency=dataclasses.replace(cell.latency, sm_mhz=mhz), spent=(("rounds", 0.7),))
        for cell, mhz in zip([c for c in idle.cells if c.latency], (1755.0, 1410.0), strict=False)
    ]
    lines = headlines(idle.with_cells(cells))
    assert "measured at 1410 to 1755 MHz of up to 1980 MHz, 700 W" in lines[0]
    assert "took 60 s; seconds of all processes by step: rounds 1" in lines


def test_times_in_which_the_gpu_waited_for_the_host_are_marked_wherever_they_are_shown():
    run = synthetic_run(3, [matmul_case(4096), matmul_case(8192)])
    assert "*" not in plain(render_run(run))
    bound = {(matmul_case(4096), "eager"), (matmul_case(8192), "helion")}
    run = run.with_cells(
        [dataclasses.replace(c, latency=dataclasses.replace(c.latency, host_bound=True)) for c in run.cells
         if c.key in bound]
    )  # fmt: skip
    (table,) = op_tables(run)
    first, second = (dict(zip(table.headers, (cell.text for cell in row), strict=True)) for row in table.rows)
    assert {name for name, text in first.items() if text.endswith("*")} == {"vs eager"}
    assert {name for name, text in second.items() if text.endswith("*")} == {
        "helion µs", "vs best", "vs eager", "vs compile", "vs vendor", "vs helion-default",
    }  # fmt: skip
    last = summary_table(run).rows[-1]
    assert sum(cell.text.endswith("*") for cell in last) == 4
    line = "* host-bound, the GPU waited for the host within these calls: matmul of eager (1), matmul of helion (1)"
    assert line in headlines(run) and line.replace("*", r"\*") in markdown(run)
    assert [row["host_bound"] for row in csv.DictReader(io.StringIO(csv_text(run)))].count("True") == 2


def test_what_is_right_by_what_torch_computes_is_told_of():
    run = synthetic_run(3, [matmul_case(4096)])
    assert not any("beyond the tolerance" in line for line in headlines(run))
    beyond = [dataclasses.replace(c, accuracy=dataclasses.replace(c.accuracy, max_rel=2e-2)) for c in run.cells[:2]]
    line = "beyond the tolerance, as torch's own result in the same dtype is, and right: "
    assert f"{line}matmul fwd (2)" in headlines(run.with_cells(beyond))


def test_a_run_of_nothing_is_still_a_report():
    empty = dataclasses.replace(stored("after"), cells=(), complete=False)
    assert "interrupted" in plain(render_run(empty))
    assert "interrupted" in markdown(empty)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012345, "0.0123"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (1234.5, "1230"),
        (0.0, "0"),
        (999.9, "1000"),
    ],
)
def test_three_significant_digits(value: float, text: str):
    assert figures.number(value) == text


def test_sizes():
    assert [figures.size(n) for n in (0, 512, 2048, 5 << 20, 3 << 30)] == [
        "0 B",
        "512 B",
        "2.00 KiB",
        "5.00 MiB",
        "3.00 GiB",
    ]


@pytest.mark.parametrize("width", [50, 60, 80, 110])
def test_nothing_is_cut_off_on_a_narrow_terminal(width: int):
    text = plain(render_run(stored("after"), tuple(METRICS)), width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    for table in op_tables(stored("after"), tuple(METRICS)):
        shown = text[text.index(table.title) :]
        for cell in (cell for row in table.rows for cell in row):
            assert re.search(rf"(?<!\S){re.escape(cell.text)}(?!\S)", shown), (table.title, cell.text)
    problems = problem_table(stored("after"))
    assert problems is not None
    for row in problems.rows:
        assert all(word in text for word in row[-1].text.split()), "sentences are broken into lines"


def test_parts_of_a_wide_table_begin_with_what_names_a_row():
    text = plain(render_run(stored("after")), width=60)
    heads = [line for line in text.splitlines() if line.startswith("shape")]
    assert len(heads) > len(list(op_tables(stored("after"))))
    assert all(line.startswith(("shape     dtype pass", "shape          dtype pass")) for line in heads), heads


def test_a_column_that_is_too_wide_by_itself_is_broken():
    table = Table.of("t", ["case", "a"], [[Text("x" * 50), Text("1.25")], [Text("y"), Text("2")]])
    lines = plain(iter([Fitted(table)]), width=30).splitlines()
    assert max(map(len, lines)) <= 30 and "".join(lines).count("x") == 50 and any("1.25" in line for line in lines)


def test_what_nobody_tried_is_told_of():
    run = synthetic_run(3, [matmul_case(4096)])
    cell = Cell(CaseKey("tritonbench.gemm", "all", (), ""), "tritonbench", Status.SKIPPED, "none of its inputs is 8x8")
    assert "tritonbench.gemm was left out: none of its inputs is 8x8" in headlines(run.with_cells([cell]))
    peers = [dataclasses.replace(c, status=Status.SKIPPED, reason="no") for c in run.cells if c.backend != "helion"]
    assert not any("left out" in line for line in headlines(run.with_cells(peers)))


def test_metrics_that_a_run_was_not_asked_for_are_told_of():
    run = stored("after")
    assert not any("not measured" in line for line in headlines(run, tuple(set(METRICS) - {"spent"})))
    bare = run.with_cells([dataclasses.replace(c, compile_seconds=None, peak_memory_bytes=None) for c in run.cells])
    line = "not measured in this run: compile_time, memory"
    metrics = ("latency", "compile_time", "host_overhead", "memory")
    assert line in headlines(bare, metrics) and line in plain(render_run(bare, metrics))
    assert not any("not measured" in line for line in headlines(stored("cpu")))
