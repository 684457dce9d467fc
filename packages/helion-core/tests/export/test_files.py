"""What an export holds, how it gets on disk, and what happens when a file is not what it was."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import exported_kernels
import pytest
import torch

from helion import exc
from helion.export import folder, loader

X = torch.zeros(256)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "shift"
    return exported_kernels.shift.bind((X, 5)).export(path, targets=["sm_80", "sm_90", "gfx942"])


@pytest.fixture
def copied(exported, tmp_path):
    """A copy that a test may spoil."""
    for file in exported.rglob("*.*"):
        if file.is_file() and "__pycache__" not in file.parts:
            target = tmp_path / "copy" / file.relative_to(exported)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path / "copy"


def test_the_files(exported):
    found = {str(f.relative_to(exported)) for f in exported.rglob("*") if f.is_file()}
    code = {"aligned", "aligned_int64", "general", "general_int64"}
    expected = {"__init__.py", "loader.py", "manifest.json"}
    for target, extension in (("sm_80", "cubin"), ("sm_90", "cubin"), ("gfx942", "hsaco")):
        expected |= {f"{target}/{name}.{extension}" for name in code}
        expected |= {f"{target}/host.py", f"{target}/triton_source.py"}
    assert found == expected
    assert all(f.read_bytes()[:4] == b"\x7fELF" for f in exported.rglob("*.cubin"))
    assert all(f.read_bytes()[:4] == b"\x7fELF" for f in exported.rglob("*.hsaco"))


def test_nothing_that_runs_imports_the_compiler(exported):
    for name in ("__init__.py", "loader.py", "sm_90/host.py"):
        lines = (exported / name).read_text().splitlines()
        imports = [line for line in lines if line.lstrip().startswith(("import", "from"))]
        assert imports and not any("helion" in line or "triton" in line for line in imports)
    assert "import triton" in (exported / "sm_90/triton_source.py").read_text()


def test_the_manifest(exported):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["schema"] == 2 and manifest["kernel"] == "shift"
    assert set(manifest["versions"]) == {"helion", "torch", "triton", "python"}
    x, offset, scale, negate = manifest["arguments"]
    assert x == {"argument": "x", "kind": "tensor", "dtype": "torch.float32", "shape": [256], "strides": [1]}
    assert offset == {"argument": "offset", "kind": "int"}
    assert scale == {"argument": "scale", "kind": "float", "default": 2.0}
    assert negate == {"argument": "negate", "kind": "constant", "value": "False", "default": False}
    target = manifest["targets"]["sm_90"]
    assert target["backend"] == "cuda" and target["config"]["block_sizes"] and target["grid"]
    assert [(v["alignment"], v["int_bits"]) for v in target["variants"]] == [(16, 32), (16, 64), (1, 32), (1, 64)]
    assert all(v["threads"] == 32 * target["options"]["num_warps"] for v in target["variants"])
    hip = manifest["targets"]["gfx942"]
    assert hip["variants"][0]["threads"] == 64 * hip["options"]["num_warps"]
    for name, expected in manifest["files"].items():
        content = (exported / name).read_bytes()
        assert expected == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_the_loader_tells_what_it_holds(exported):
    done = subprocess.run([sys.executable, exported / "loader.py"], capture_output=True, text=True, check=True)
    assert "x: tensor of torch.float32 [256]" in done.stdout and "all as they were exported" in done.stdout


def test_the_source_stands_alone(exported, tmp_path):
    """The Triton module computes what the kernel does, here in the interpreter."""
    script = f"""
import runpy, torch
x = torch.arange(256.)
out = runpy.run_path({str(exported / "sm_90/triton_source.py")!r})["shift"](x, 5)
assert (out[:256] == x * 2 + 5).all() and out.shape == (258,)
"""
    environment = {"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


@pytest.mark.parametrize("name", ["sm_90/aligned.cubin", "gfx942/host.py", "loader.py", "sm_80/triton_source.py"])
def test_a_missing_altered_or_truncated_file_is_named(copied, name):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-1])
    with pytest.raises(loader.DamagedExport, match=rf"{name} has {len(content) - 1} bytes instead of {len(content)}"):
        loader.load(copied)
    (copied / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(loader.DamagedExport, match=rf"{name} was changed since the export"):
        loader.load(copied)
    (copied / name).unlink()
    with pytest.raises(loader.DamagedExport, match=rf"{name} cannot be read: No such file"):
        loader.load(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:100], "is not JSON"),
        (lambda text: text.replace("256", "512", 1), "was changed since the export"),
        (lambda text: text.replace('"schema": 2', '"schema": 1'), "has schema 1; this loader reads 2"),
        (lambda text: "[1]", "does not describe an exported kernel"),
    ],
    ids=["truncated", "altered", "newer", "something else"],
)
def test_a_spoilt_manifest_is_named(copied, change, message):
    manifest = copied / "manifest.json"
    manifest.write_text(change(manifest.read_text()))
    with pytest.raises(loader.DamagedExport, match=rf"manifest.json {message}"):
        loader.load(copied)


def test_a_spoilt_export_says_so_in_one_line(copied):
    (copied / "sm_90/host.py").unlink()
    done = subprocess.run([sys.executable, copied / "loader.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("DamagedExport: ") and len(done.stderr.splitlines()) == 1


def test_no_folder():
    with pytest.raises(loader.DamagedExport, match=r"nowhere/manifest.json cannot be read"):
        loader.load("nowhere")


def test_an_export_is_replaced_as_a_whole(exported, copied):
    (copied / "left_over.txt").write_text("from the old one")
    exported_kernels.softmax.bind((torch.zeros(4, 8),)).export(copied, targets="sm_90")
    assert loader.read_manifest(copied)["kernel"] == "softmax"
    assert not (copied / "left_over.txt").exists() and not (copied / "gfx942").exists()
    assert [p.name for p in copied.parent.iterdir()] == ["copy"]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "new").mkdir()
    folder.write_folder(tmp_path / "new", {"a/b.txt": b"text"})
    assert (tmp_path / "new/a/b.txt").read_bytes() == b"text"


def test_something_else_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/manifest.json").write_text('{"name": "a web app"}')
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "folder"):
        with pytest.raises(exc.NotAnExport):
            exported_kernels.shift.bind((X, 5)).export(path, targets=["sm_90"])
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_what_fails_half_way_leaves_the_old_one(copied, monkeypatch):
    before = (copied / "manifest.json").read_bytes()
    write = Path.write_bytes

    def full_disk(self, content):
        if self.name == "b.bin":
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        folder.write_folder(copied, {"a.bin": b"1", "b.bin": b"2"})
    assert (copied / "manifest.json").read_bytes() == before
    assert [p.name for p in copied.parent.iterdir()] == ["copy"]


def test_one_config_for_each_target(tmp_path):
    bound = exported_kernels.shift.bind((X, 5))
    configs = {"sm_90": {"block_sizes": [64]}, "gfx942": {"block_sizes": [128]}}
    bound.export(tmp_path / "e", targets=["sm_90", "gfx942"], config=configs)
    targets = loader.read_manifest(tmp_path / "e")["targets"]
    assert [targets[t]["config"]["block_sizes"] for t in ("sm_90", "gfx942")] == [[64], [128]]
    with pytest.raises(exc.InvalidConfig):
        bound.export(tmp_path / "e", targets=["sm_90"], config={"block_sizes": [63]})


def test_a_function_as_an_argument_cannot_be_exported(tmp_path):
    with pytest.raises(exc.CannotExport, match="its argument `function` is a function, which is compiled in"):
        exported_kernels.applied.bind((X, lambda x: x + 1)).export(tmp_path / "e", targets=["sm_90"])
    assert not (tmp_path / "e").exists()


def test_code_that_needs_more_than_the_target_has_cannot_be_exported(tmp_path):
    x = torch.zeros(512, 512)
    config = {"block_sizes": [128, 128, 128], "num_stages": 4, "indexing": "pointer"}
    with pytest.raises(exc.CannotExport, match="needs more than 232448 bytes of shared memory"):
        exported_kernels.matmul.bind((x, x)).export(tmp_path / "e", targets=["sm_90"], config=config)


def test_an_unknown_target(tmp_path):
    with pytest.raises(exc.UnknownTarget):
        exported_kernels.shift.bind((X, 5)).export(tmp_path / "e", targets=["h100"])
