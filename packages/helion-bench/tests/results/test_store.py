import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from helion_bench.results.codec import decode, encode
from helion_bench.results.errors import ResultsError
from helion_bench.results.model import MAX_SAMPLES, Accuracy, CaseKey, Cell, Latency, Run, Status
from helion_bench.results.store import Store, check_writable, folder_of, read_run, write_file
from helion_bench.testing.synthetic import example_runs


@pytest.fixture
def run() -> Run:
    return example_runs()["after"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_a_run_survives_its_json(run: Run):
    assert decode(encode(run), "it") == run
    assert decode(encode(example_runs()["cpu"]), "it") == example_runs()["cpu"]


def test_a_run_without_cells_survives(run: Run):
    empty = dataclasses.replace(run, cells=())
    assert decode(encode(empty), "it") == empty


def test_kinds_of_str_and_numbers_become_plain_ones(run: Run):
    class Version(str):
        pass

    software = dataclasses.replace(run.software, torch=Version("2.13"))
    odd = dataclasses.replace(run, software=software, seconds=np.float32(2.5))  # type: ignore[arg-type]
    back = decode(encode(odd), "it")
    assert (back.software.torch, back.seconds) == ("2.13", 2.5)
    with pytest.raises(TypeError, match="a run cannot hold object"):
        encode(dataclasses.replace(run, name=object()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=2), "newer helion-bench; this one reads up to 1"),
        (lambda d: d.update(schema=0), "no longer read"),
        (lambda d: d.update(schema="x"), "newer"),
        (lambda d: d.update(kind="other"), "not a run of helion-bench"),
        (lambda d: d.pop("machine"), "missing required field `machine`"),
        (lambda d: d["cells"][3].update(status="great"), "Invalid enum value 'great'"),
        (lambda d: d["cells"][3]["latency"].update(rounds=[[-1.0]]), r"above 0 - at `\$.cells\[3\].latency`"),
        (lambda d: d["cells"][3].update(flops="many"), r"Expected `int \| null`, got `str`"),
    ],
)
def test_files_that_are_wrong_say_so(run: Run, change, message: str):
    data = json.loads(encode(run))
    change(data)
    with pytest.raises(ResultsError, match=message) as caught:
        decode(json.dumps(data).encode(), "old.json")
    assert "old.json" in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_what_is_no_run_says_so(text: bytes):
    with pytest.raises(ResultsError, match=r"x\.json is not"):
        decode(text, "x.json")


def test_a_file_cut_off_says_so(run: Run):
    with pytest.raises(ResultsError, match="cut off"):
        decode(encode(run)[:-100], "x.json")


def test_runs_are_kept_by_gpu(run: Run, store: Store):
    path = store.put(run)
    assert path.parts[-3:] == (folder_of(run.machine.gpu), "runs", f"{run.id}.json")
    assert store.find(run.id) == run
    assert store.find("last") == run
    assert folder_of("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


def test_a_baseline_is_found_by_name_and_not_overwritten(run: Run, store: Store):
    store.save(run, "v0.1")
    assert store.find("v0.1").name == "v0.1"
    assert store.find("v0.1", gpu=run.machine.gpu).cells == run.cells
    with pytest.raises(ResultsError, match="already"):
        store.save(run, "v0.1")
    store.save(run, "v0.1", replace=True)


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a b", "last"])
def test_names_that_are_no_file_names_are_refused(run: Run, store: Store, name: str):
    with pytest.raises(ResultsError, match="no name for a baseline"):
        store.save(run, name)


def test_a_name_of_two_gpus_must_be_told_apart(run: Run, store: Store):
    other = dataclasses.replace(run, machine=dataclasses.replace(run.machine, gpu="Other"))
    for each in (run, other):
        store.save(each, "v1")
    with pytest.raises(ResultsError, match="may be any of"):
        store.find("v1")
    assert store.find("v1", gpu="Other").machine.gpu == "Other"


def test_what_is_not_there_is_said_with_what_is(run: Run, store: Store):
    with pytest.raises(ResultsError, match="none yet"):
        store.find("v9")
    store.save(run, "v1")
    with pytest.raises(ResultsError, match=r"v1 \(synthetic-gpu\)"):
        store.find("v9")
    with pytest.raises(ResultsError, match="cannot read"):
        store.find("no/such/file.json")
    with pytest.raises(ResultsError, match="no run is stored"):
        Store(store.root / "empty").find("last")


def test_a_corrupt_file_does_not_hide_the_others(run: Run, store: Store):
    path = store.put(run)
    path.with_name("broken.json").write_text("{")
    assert store.last() == run
    assert [bool(stored.broken) for stored in store.runs()] == [True, False]


def test_writing_replaces_a_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "run.json"
    write_file(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ResultsError, match="No space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_samples_are_rounded_and_bounded():
    latency = Latency.of([[1.23456789] * 1000 for _ in range(10)], "events")
    assert len(latency.samples) == MAX_SAMPLES
    assert latency.rounds[0][0] == 1.2346
    assert Latency.of([[1.0], [], [2.0]], "events").rounds == ((1.0,), (), (2.0,))


def test_values_that_cannot_be_are_refused():
    case = CaseKey("softmax", "1x1", (("m", 1), ("n", 1)), "float32")
    with pytest.raises(ValueError, match="needs a reason"):
        Cell(case, "helion", Status.ERROR)
    with pytest.raises(ValueError, match="finite"):
        Accuracy(False, float("inf"), None, 0.1, 0.1)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="above 0"):
            Latency(((bad,),), "events")


def test_fixtures_are_what_the_generator_makes():
    folder = Path(__file__).parents[1] / "fixtures"
    for name, run in example_runs().items():
        assert read_run(folder / f"synthetic_{name}.json") == run


def test_what_is_no_file_is_written_into_and_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    check_writable(pipe)
    write_file(pipe, b"run")
    assert os.read(reader, 10) == b"run" and pipe.is_fifo()
    os.close(reader)


def test_a_link_stays_one(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    check_writable(tmp_path / "link")
    write_file(tmp_path / "link", b"run")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "file").read_bytes() == b"run"


def test_a_store_is_a_folder(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="file is no folder"):
        Store(tmp_path / "file")


def test_names_are_no_patterns(store: Store, run: Run):
    store.save(run, "before")
    with pytest.raises(ResultsError, match=r"no baseline or file 'b\*'"):
        store.find("b*")


def test_last_of_a_gpu(store: Store):
    runs = example_runs()
    for run in runs.values():
        store.put(run)
    assert store.find("last") == runs["cpu"] and store.find("last", "Synthetic GPU") == runs["after"]
    with pytest.raises(ResultsError, match="no run of other is stored"):
        store.find("last", "other")
