"""The HTML report: one file, well-formed, themed, with what the tables say."""

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helion_bench.reports.html import html
from helion_bench.reports.plots import SERIES, _ends, history_plot, peer_colors, roofline_plot, speedup_plots
from helion_bench.results.compare import compare
from helion_bench.results.model import Cell, Peaks, Run, Status
from helion_bench.results.speedup import Speedup
from helion_bench.results.store import read_run
from helion_bench.statistics.interval import Interval
from helion_bench.testing.synthetic import matmul_case, row_cases, synthetic_run

FIXTURES = Path(__file__).parents[1] / "fixtures"
VOID = {"meta", "link", "br", "wbr", "img", "hr"}


class Balanced(HTMLParser):
    """Checks that every tag is closed, and gathers ids and what would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data") and not (value or "").startswith("#"):
                self.fetched.append(value or "")
        assert tag not in ("script", "link", "iframe", "object")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {name: read_run(FIXTURES / f"synthetic_{name}.json") for name in ("before", "after", "cpu")}


@pytest.fixture(scope="module")
def page(runs: dict[str, Run]) -> str:
    return html(
        runs["after"], comparison=compare(runs["before"], runs["after"]), history=[runs["before"], runs["after"]]
    )


def test_one_file_that_fetches_nothing(page: str):
    parsed = Balanced(page)
    assert parsed.open == []
    assert parsed.fetched == []
    assert len(parsed.ids) == len(set(parsed.ids))
    assert not re.search(r"url\((?!#)|@import", page)
    assert len(page) < 300_000


def test_every_reference_within_the_page_has_its_target(page: str):
    targets = set(Balanced(page).ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', page)) <= targets


def test_light_and_dark_by_variables_alone(page: str):
    """Every colour of a drawing is a variable, and each variable has a value for both."""
    assert "prefers-color-scheme: dark" in page
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert not re.search(r"#[0-9a-fA-F]{6}\b", re.sub(r'(url\(#|href="#)[^)"]+', "", drawings))
    style = page.split("<style>")[1].split("</style>")[0]
    light, dark = style.split("prefers-color-scheme: dark")
    for variable in set(re.findall(r"var\((--[a-z0-9]+)\)", drawings)):
        assert f"{variable}:" in light
        assert f"{variable}:" in dark


def test_it_is_made_for_phones_too(page: str):
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    for drawing in re.findall(r"<svg[^>]*>", page):
        assert "viewBox" in drawing
        assert " width=" not in drawing


def test_it_says_what_the_tables_say(page: str):
    for text in ("1 slower", "Synthetic GPU", "no result after 60 s", "liger-kernel is not installed", "Roofline"):
        assert text in page


def test_the_same_run_gives_the_same_file(runs: dict[str, Run]):
    assert html(runs["after"]) == html(runs["after"])


def test_without_times_there_are_no_plots(runs: dict[str, Run]):
    page = html(runs["cpu"], history=[runs["cpu"], runs["cpu"]])
    assert "<svg" not in page
    assert "32 regs" in page


def test_text_from_outside_is_escaped(runs: dict[str, Run]):
    case = dataclasses.replace(runs["after"].cells[0].case, op="<b>&x")
    page = html(runs["after"].with_cells([Cell(case, "helion", Status.ERROR, "<script>alert(1)</script>")]))
    assert "<script>" not in page
    assert "&lt;b&gt;&amp;x" in page


def test_drawings_are_xml_with_the_names_as_text(runs: dict[str, Run]):
    plots = list(speedup_plots(runs["after"]))
    assert [plot.title for plot in plots] == ["softmax", "layer_norm", "rms_norm", "matmul"]
    for plot in plots:
        texts = {element.text for element in ElementTree.fromstring(plot.svg).iter() if element.tag.endswith("text")}
        assert "1×" in texts
    assert "8192x2560" in plots[0].svg
    assert plots[0].alt.startswith("Speed-up of softmax over the best peer: from 0.")


def test_peers_that_meet_have_different_colors():
    one = Interval(1.0, 1.0, 1.0)
    case = matmul_case(1024)
    ops = {"a": ["p", "q", "r"], "b": ["s", "p"], "c": ["t", "u"], "d": list("vwxyz12345")}
    found = [
        Speedup(dataclasses.replace(case, op=op), "helion", dict.fromkeys(peers, one), peers[0])
        for op, peers in ops.items()
    ]
    colors = peer_colors(found, [name for peers in ops.values() for name in peers])
    for op in "abc":
        assert len({colors[name] for name in ops[op]}) == len(ops[op])
    assert colors["s"] != colors["p"]
    assert max(colors.values()) < SERIES


def test_a_roofline_without_ceilings_still_shows_the_cases(runs: dict[str, Run]):
    machine = dataclasses.replace(runs["after"].machine, peaks=Peaks())
    plot = roofline_plot(dataclasses.replace(runs["after"], machine=machine))
    assert plot is not None
    assert "TFLOP/s" in plot.svg
    assert "fp32" not in plot.svg


def test_history_is_over_the_cases_that_all_runs_have():
    few, many = row_cases(1, 2), [*row_cases(2, 3), matmul_case(1024)]
    plot = history_plot([synthetic_run(1, many), synthetic_run(2, few), synthetic_run(3, many)])
    assert plot is not None
    assert plot.alt.startswith("softmax: from ")
    assert "matmul" not in plot.svg
    assert history_plot([synthetic_run(1, few)]) is None


def test_names_from_outside_cannot_spoil_a_drawing():
    cases = [dataclasses.replace(case, op='<b>"&$x_1$', shape=f"a<b>${i}$") for i, case in enumerate(row_cases(1, 3))]
    (plot,) = speedup_plots(synthetic_run(1, cases))
    texts = {element.text for element in ElementTree.fromstring(plot.svg).iter() if element.tag.endswith("text")}
    assert "a<b>$0$" in texts
    page = html(synthetic_run(1, cases), history=[synthetic_run(i, cases) for i in range(2)])
    assert "<b>" not in page
    assert Balanced(page).open == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(page: str, width: int, tmp_path: Path):
    """In headless Chromium, where there is one: the page itself never scrolls sideways."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    probe = "<script>document.title='wide:'+document.documentElement.scrollWidth+'/'+window.innerWidth</script>"
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", probe + "</body>"))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([chromium, *options, file.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r"wide:(\d+)/(\d+)", done.stdout)
    assert found is not None, done.stderr[-500:]
    assert int(found[1]) <= int(found[2])


def test_ends_of_a_history_are_days_or_hours_of_one():
    assert _ends("2026-01-02T10:20:30+00:00", "2026-02-02T10:20:30+00:00") == ["2026-01-02", "2026-02-02"]
    assert _ends("2026-01-02T10:20:30+00:00", "2026-01-02T11:20:30+00:00") == ["01-02 10:20", "01-02 11:20"]
