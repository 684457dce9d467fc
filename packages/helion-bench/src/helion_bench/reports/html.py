"""One HTML file: plots, tables, no script, nothing from the network."""

from __future__ import annotations

import re
from collections.abc import Sequence

import jinja2
import markupsafe

import helion_bench
from helion_bench.reports.changes import changes_table, label, verdict_line
from helion_bench.reports.metrics import DEFAULT
from helion_bench.reports.plots import history_plot, roofline_plot, speedup_plots
from helion_bench.reports.tables import headline_of, headlines, op_tables, problem_table, summary_table
from helion_bench.results.compare import Comparison
from helion_bench.results.model import Run


def html(
    run: Run, metrics: Sequence[str] = DEFAULT, comparison: Comparison | None = None, history: Sequence[Run] = ()
) -> str:
    """The report of `run`. `history` holds runs of the same GPU, oldest first, this one last."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("helion_bench.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template("report.html").render(
        title=f"helion-bench: {run.machine.gpu}, {run.started[:10]}",
        version=helion_bench.__version__,
        run=run,
        headline=headline_of(run),
        lines=headlines(run, metrics),
        summary=summary_table(run),
        problems=problem_table(run),
        comparison=comparison,
        verdicts=verdict_line(comparison) if comparison else "",
        compared=label(comparison) if comparison else "",
        changes=changes_table(comparison) if comparison else None,
        plots=list(speedup_plots(run)),
        roofline=roofline_plot(run),
        history=history_plot(history),
        tables=list(op_tables(run, metrics)),
    )


def _breakable(text: str) -> markupsafe.Markup:
    """Long names may be broken after / and _ where a page is narrow, and nowhere else."""
    parts = re.split(r"(?<=[/_])", text)
    return markupsafe.Markup("<wbr>").join(parts)
