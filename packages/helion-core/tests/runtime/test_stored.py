"""Kernels that an earlier process compiled: found without compiling, and never in place of another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import triton
from triton import knobs

from helion.runtime.binaries import compile as compiling
from helion.runtime.binaries import kept, stored
from helion.runtime.binaries.compile import compile_kernel, facts
from helion.runtime.targets import parse_target

TARGET = parse_target("sm_90")
TYPES = ["*fp32", "*fp32", "i32"]
OPTIONS = {"num_warps": 4, "num_stages": 2}
TEXT = """import triton
import triton.language as tl


@triton.jit
def scaled(x, out, n):
    at = tl.program_id(0) * 64 + tl.arange(0, 64)
    tl.store(out + at, tl.load(x + at, at < n) * 2.5, at < n)
"""


def compiled(text=TEXT, types=TYPES, target=TARGET, options=OPTIONS, aligned=None):
    return compile_kernel(text, "scaled", types, target, options, aligned)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    return tmp_path / "triton"


@pytest.fixture
def compilations(monkeypatch):
    """What `triton.compile` was asked for, which goes on to compile it."""
    found, original = [], triton.compile

    def compile(source, **options):
        found.append(source)
        return original(source, **options)

    monkeypatch.setattr(triton, "compile", compile)
    return found


def the_record(folder):
    (record,) = folder.glob("*/helion.json")
    return record


def same(one, other):
    return one.asm["cubin"] == other.asm["cubin"] and one.metadata == other.metadata and one.hash == other.hash


# --- what a hit is


def test_a_second_process_neither_compiles_nor_hashes_triton(compilations, monkeypatch):
    first = compiled()
    assert len(compilations) == 1

    def refused(*_, **__):
        raise AssertionError("was called")

    monkeypatch.setattr(triton, "compile", refused)
    monkeypatch.setattr("triton.runtime.cache.triton_key", refused)
    monkeypatch.setattr("triton.backends.nvidia.compiler.get_ptxas_version", refused)
    monkeypatch.setattr(subprocess, "check_output", refused)
    again = compiled()
    assert same(first, again) and dict(first.asm) == dict(again.asm)
    assert again.packed_metadata == first.packed_metadata and again.name == first.name
    assert again.src.signature == first.src.signature and again.src.constants == first.src.constants
    assert again.metadata_group == first.metadata_group


def test_what_triton_had_compiled_already_is_found_the_next_time(compilations, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(stored, "key_for", lambda *_: None)
        compiled()
    compiled()
    compiled()
    assert len(compilations) == 2


def test_a_hit_is_loaded_and_launched_as_what_was_compiled(monkeypatch):
    """By a driver that is not there: its launcher and loader are given the same both times."""
    calls = []

    class Driver:
        utils = SimpleNamespace(
            load_binary=lambda *args: calls.append(args) or (1, 2, 32, 0, 1024),
            get_device_properties=lambda device: {"max_shared_mem": 232448},
        )

        def launcher_cls(self, source, metadata):
            calls.append((source.signature, source.constants, source.fn.arg_names, metadata))
            return "launcher"

        def get_current_device(self):
            return 0

        def get_current_target(self):
            return TARGET.triton()

    monkeypatch.setattr(triton.runtime.driver, "_active", Driver())
    assert compiled().run == compiled().run == "launcher"
    assert calls[:2] == calls[2:]


CHANGES = {
    "text": {"text": TEXT.replace("2.5", "2.75")},
    "types": {"types": ["*bf16", "*fp32", "i32"]},
    "wide": {"types": ["*fp32", "*fp32", "i64"]},
    "target": {"target": parse_target("sm_80")},
    "warps": {"options": {**OPTIONS, "num_warps": 2}},
    "stages": {"options": {**OPTIONS, "num_stages": 3}},
    "alignment": {"aligned": [True, False, False]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_kernels_are_others(change, compilations):
    first, other = compiled(), compiled(**change)
    assert len(compilations) == 2 and first.hash != other.hash
    assert compiled(**change).asm["cubin"] == other.asm["cubin"] and len(compilations) == 2


# --- where Triton's own way is taken


@pytest.mark.parametrize("name", ["TRITON_ALWAYS_COMPILE", "TRITON_KERNEL_OVERRIDE", "TRITON_KERNEL_DUMP"])
def test_settings_that_force_or_change_compilations(name, compilations, monkeypatch, tmp_path):
    compiled()
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TRITON_DUMP_DIR", str(tmp_path / "dump"))
    monkeypatch.setenv("TRITON_OVERRIDE_DIR", str(tmp_path / "override"))
    compiled()
    assert len(compilations) == 2


def test_those_who_watch_compilations_see_them(monkeypatch):
    compiled()
    seen = []
    monkeypatch.setattr(knobs.compilation, "listener", lambda **said: seen.append(said["cache_hit"]))
    compiled()
    assert seen == [True]


def test_hooks_into_the_stages_of_compilation(compilations, monkeypatch):
    compiled()
    monkeypatch.setattr(knobs.runtime, "add_stages_inspection_hook", lambda *args: ("key", "hash"), raising=False)
    compiled()
    assert len(compilations) == 2


def test_caches_that_others_manage_are_asked(compilations, folder):
    from triton.runtime.cache import FileCacheManager

    class Manager(FileCacheManager):
        pass

    compiled()
    shutil.rmtree(folder)
    with knobs.cache.scope():
        knobs.cache.manager_class = Manager
        compiled()
        compiled()
    assert len(compilations) == 3 and not list(folder.glob("*/helion.json"))


@pytest.mark.parametrize("version", ["3.5.1", "3.10.0", "4.0.0"])
def test_releases_of_triton_whose_key_nobody_has_read(version, compilations, monkeypatch):
    compiled()
    monkeypatch.setattr(triton, "__version__", version)
    compiled()
    assert len(compilations) == 2


# --- what else decides the code


@pytest.fixture
def key(monkeypatch):
    """The key of one kernel, with Triton's files looked at anew."""

    def compute():
        from triton.compiler import ASTSource

        from helion.runtime.binaries.load import load_kernel

        stored._triton.cache_clear()
        source = ASTSource(load_kernel(TEXT, "scaled"), dict(zip(["x", "out", "n"], TYPES, strict=True)), {}, {})
        return stored.key_for(source, TARGET.triton(), OPTIONS)

    yield compute
    monkeypatch.undo()
    stored._triton.cache_clear()


def test_the_same_twice_has_one_key(key):
    assert key() == key() != None  # noqa: E711


def test_another_version_of_triton(key, monkeypatch):
    before = key()
    monkeypatch.setattr(triton, "__version__", "3.7.99")
    assert key() not in (None, before)


def test_another_installation_of_triton(tmp_path, monkeypatch):
    """Its version says the same, but a file has another size, or another time, or is new, or elsewhere."""
    stamps = set()

    def note():
        stored._triton.cache_clear()
        stamps.add(stored._triton())
        stored._triton.cache_clear()

    def tree(root):
        for name in ("_C/libtriton.so", "compiler/compiler.py", "backends/nvidia/compiler.py", "language/core.py"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
            os.utime(root / name, ns=(10**18, 10**18))
        monkeypatch.setattr(triton, "__file__", str(root / "__init__.py"))

    tree(tmp_path / "a")
    note()
    library = tmp_path / "a" / "_C" / "libtriton.so"
    os.utime(library, ns=(10**18, 10**18 + 1))
    note()
    library.write_text("another size")
    os.utime(library, ns=(10**18, 10**18))
    note()
    (tmp_path / "a" / "backends" / "nvidia" / "bin").mkdir()
    (tmp_path / "a" / "backends" / "nvidia" / "bin" / "ptxas").touch()
    note()
    source = tmp_path / "a" / "language" / "core.py"
    source.write_text("edited!!!!!!!!!!"[: len("language/core.py")])
    note()
    tree(tmp_path / "b")
    note()
    assert len(stamps) == 6
    (tmp_path / "b" / "language" / "__pycache__").mkdir()
    (tmp_path / "b" / "language" / "__pycache__" / "core.pyc").touch()
    note()
    assert len(stamps) == 6


def test_another_assembler(key, tmp_path, monkeypatch):
    own = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    keys = {key()}
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(own)
        monkeypatch.setenv("TRITON_PTXAS_PATH", str(tmp_path / name))
        keys.add(key())
    (tmp_path / "two").unlink()
    (tmp_path / "two").write_bytes(b"another one")
    keys.add(key())
    monkeypatch.setenv("TRITON_PTXAS_PATH", str(tmp_path / "missing"))
    assert len(keys) == 4 and key() is None


def test_an_assembler_given_in_python(key):
    with knobs.nvidia.scope():
        setattr(knobs.nvidia, "ptxas", knobs.NvidiaTool("/somewhere/ptxas", "12.9"))  # noqa: B010 - typed as a str
        assert key() is None
    assert key() is not None


@pytest.mark.parametrize(
    "name",
    ["DISABLE_LLVM_OPT", "TRITON_DISABLE_LINE_INFO", "TRITON_ENABLE_ASAN", "TRITON_MOCK_PTX_VERSION"],
)
def test_the_compilers_environment(name, key, monkeypatch):
    before = key()
    monkeypatch.setenv(name, "8.0" if "VERSION" in name else "1")
    assert key() not in (None, before)


def test_another_architecture_asked_for(key, monkeypatch):
    before = key()
    monkeypatch.setenv("TRITON_OVERRIDE_ARCH", "sm80")
    assert key() not in (None, before)


# --- folders that go, change, and hold rubbish


def test_tritons_folder_removed(folder, compilations):
    first = compiled()
    shutil.rmtree(folder)
    assert same(first, compiled()) and len(compilations) == 2
    assert same(first, compiled()) and len(compilations) == 2


def test_tritons_entry_removed_and_our_record_left(folder, compilations):
    first = compiled()
    (cubin,) = folder.glob("*/*.cubin")
    shutil.rmtree(cubin.parent)
    assert same(first, compiled()) and len(compilations) == 2
    assert same(first, compiled()) and len(compilations) == 2


def test_each_folder_has_its_own(folder, compilations, monkeypatch):
    first = compiled()
    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder.with_name("other")))
    assert same(first, compiled()) and len(compilations) == 2
    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder))
    compiled()
    assert len(compilations) == 2


def test_a_folder_that_was_moved(folder, compilations, monkeypatch):
    first = compiled()
    moved = folder.rename(folder.with_name("moved"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(moved))
    for _ in range(2):
        again = compiled()
        assert again.asm["cubin"] == first.asm["cubin"] and len(compilations) == 2
    assert all(str(moved) in path for path in again.metadata_group.values())


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES = {
    "cubin cut": ("*/scaled.cubin", cut), "cubin flipped": ("*/scaled.cubin", flip),
    "cubin missing": ("*/scaled.cubin", Path.unlink), "cubin empty": ("*/scaled.cubin", lambda p: p.write_bytes(b"")),
    "text changed": ("*/scaled.ptx", flip), "metadata cut": ("*/scaled.json", cut),
    "metadata missing": ("*/scaled.json", Path.unlink), "list cut": ("*/__grp__scaled.json", cut),
    "list missing": ("*/__grp__scaled.json", Path.unlink), "record cut": ("*/helion.json", cut),
    "record empty": ("*/helion.json", lambda p: p.write_bytes(b"")),
    "record no text": ("*/helion.json", lambda p: p.write_bytes(b"\xff\xfe\xfd")),
    "record a list": ("*/helion.json", lambda p: p.write_text("[1, 2]")),
    "record of others": ("*/helion.json", lambda p: p.write_text('{"entry": 1, "group": [], "files": "no"}')),
    "record without a hash": ("*/helion.json", lambda p: p.write_text('{"entry": "xyz", "group": "a", "files": {}}')),
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_compiled_again(pattern, damage, folder, compilations):
    first = compiled()
    (path,) = folder.glob(pattern)
    damage(path)
    again = compiled()
    assert dict(again.asm) == dict(first.asm) and again.metadata == first.metadata and len(compilations) == 2
    assert same(compiled(), first) and len(compilations) == 2


def test_a_record_that_names_another_kernel(folder, compilations):
    first, other = compiled(), compiled(text=TEXT.replace("2.5", "2.75"))
    one, two = folder.glob("*/helion.json")
    a, b = json.loads(one.read_text()), json.loads(two.read_text())
    one.write_text(json.dumps({**a, "entry": b["entry"]}))
    two.write_text(json.dumps({**b, "entry": a["entry"]}))
    assert compiled().asm["cubin"] == first.asm["cubin"] != other.asm["cubin"]


def test_a_place_that_cannot_be_written(compilations, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "folder", full)
    assert compiled().asm["cubin"] == compiled().asm["cubin"] and len(compilations) == 2


# --- several processes

CHILD = """
import os, signal, sys, time
sys.path.insert(0, {here!r})
from helion.runtime.binaries.compile import compile_kernel, facts
from helion.runtime.targets import parse_target
import triton.runtime.cache as cache

left, original = {writes}, os.replace

def replace(source, destination):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    original(source, destination)

cache.os.replace = replace
while time.time() < {start}:
    pass
compiled = compile_kernel({text!r}, "scaled", {types}, parse_target("sm_90"), {options})
print(facts(compiled, parse_target("sm_90")).registers)
"""


def child(writes=0, start=0.0):
    script = CHILD.format(here=str(Path(__file__).parent), writes=writes, start=start, text=TEXT, types=TYPES,
                          options=OPTIONS)  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_compile_at_once(folder, compilations):
    started = [child(start=time.time() + 2.0) for _ in range(3)]
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    assert int(said[0][0]) == facts(compiled(), TARGET).registers and compilations == []


@pytest.mark.parametrize("writes", [3, 8, 9])
def test_a_process_killed_in_the_middle_of_writing(writes, folder, compilations):
    """Triton writes seven files and their list, and we one: killed before the third, the list, the record."""
    killed = child(writes)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL and not list(folder.glob("*/helion.json"))
    before = {path.name for path in folder.glob("*/*") if path.is_file()}
    assert len(before) == writes - 1
    assert facts(compiled(), TARGET).registers > 0 and len(compilations) == 1
    compiled()
    assert len(compilations) == 1


# --- what was read off a kernel


def test_the_disassembler_is_asked_once(folder, monkeypatch):
    kernel = compiled()
    first = facts(kernel, TARGET)
    asked, original = [], compiling._disassembler_says
    monkeypatch.setattr(compiling, "_disassembler_says", lambda cubin: asked.append(1) or original(cubin))
    assert facts(kernel, TARGET) == first and not asked
    (usage,) = (p for p in folder.glob("*/helion.json") if "registers" in p.read_text())
    for text in ("{", "[]", '{"registers": "many", "spills": 0}', "{}"):
        usage.write_text(text)
        assert facts(kernel, TARGET) == first and asked.pop()
    assert facts(kernel, TARGET) == first and not asked


def test_an_assembly_that_nobody_can_read_is_asked_again(monkeypatch):
    asked = []
    monkeypatch.setattr(compiling, "_disassembler_says", lambda cubin: asked.append(1) or "")
    assert compiling._resource_usage(b"no code") == compiling._resource_usage(b"no code") == (0, 0)
    assert len(asked) == 2


def test_the_default_of_a_later_process_is_not_compiled_again(compilations, monkeypatch):
    torch = pytest.importorskip("torch")
    import helion
    import helion.language as hl

    def product(x, y):
        out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
        for tile_m, tile_n in hl.tile(out.size()):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(x.size(1)):
                acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
            out[tile_m, tile_n] = acc
        return out

    args = torch.empty(256, 256, dtype=torch.bfloat16), torch.empty(256, 256, dtype=torch.bfloat16)
    first = helion.kernel(product).bind(args).default_config(TARGET)
    looked = len(compilations)
    monkeypatch.setattr(compiling, "_disassembler_says", lambda cubin: pytest.fail("the disassembler was asked"))
    assert helion.kernel(product).bind(args).default_config(TARGET) == first and len(compilations) == looked > 0
