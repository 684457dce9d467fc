"""Programs that race by their stores are told of, at the line of the store; what is meant is not."""

import inspect
import warnings

import pytest
import torch

import helion
import helion.language as hl
from helion import exc

X = torch.zeros(64, 48)
V = torch.zeros(64)
N = torch.zeros(64, dtype=torch.int64)


def races_of(function, *args, **settings):
    """What binding a new kernel tells of races."""
    kernel = helion.kernel(function, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kernel.bind(args)
    return [w for w in caught if w.category is exc.StoreRace]


RACES = []
SILENT = []


def race(*args, axes, reads=False, **settings):
    """The kernel below stores, at the line with `# here`, what differs along `axes`, or was read there before."""
    return lambda function: RACES.append(pytest.param(function, args, axes, reads, settings, id=function.__name__))


def silent(*args, **settings):
    return lambda function: SILENT.append(pytest.param(function, args, settings, id=function.__name__))


# --- races


@race(X, axes="`b`")
def part_of_a_sum(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = x[a, b].sum(1)  # here
    return out


@race(X, axes="`b`", static_shapes=False)
def part_of_a_sum_for_all_sizes(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = x[a, b].sum(1)  # here
    return out


@race(V, axes="`t`", reads=True)
def sum_in_place(x):
    total = torch.zeros(1)
    for t in hl.tile(x.size(0)):
        total[0] += x[t].sum()  # here
    return total


@race(V, axes="`t`")
def largest(x):
    out = torch.empty(1)
    for t in hl.tile(x.size(0)):
        out[0] = x[t].amax(0)  # here
    return out


@race(V, axes="`t`", reads=True)
def count_of_programs(x):
    count = torch.zeros(1)
    for t in hl.tile(x.size(0)):
        count[0] = count[0] + 1  # here
        x[t] = 0
    return count


@race(X, axes="`b`", reads=True)
def rows_updated_by_all_columns(x):
    m, n = x.size()
    scale = torch.ones(m)
    for a, b in hl.tile([m, n]):
        scale[a] *= 2  # here
        x[a, b] = 0
    return scale


@race(X, axes="`j`")
def grid_of_scalars(x):
    m, n = x.size()
    out = torch.empty(m)
    for i, j in hl.grid([m, n]):
        out[i] = x[i, j]  # here
    return out


@race(X, axes="`b` and `c`")
def two_axes(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b, c in hl.tile([m, n, n]):
        out[a] = x[a, b].sum(1) + x[a, c].sum(1)  # here
    return out


@race(X, axes="`b`")
def through_a_view(x):
    m, n = x.size()
    out = torch.empty(2, m)
    last = out[1].view(-1)
    for a, b in hl.tile([m, n]):
        last[a] = x[a, b].sum(1)  # here
    return out


@race(X, axes="`b`")
def through_a_view_made_in_the_loop(x):
    m, n = x.size()
    out = torch.empty(m, 1)
    for a, b in hl.tile([m, n]):
        out.view(-1)[a] = x[a, b].sum(1)  # here
    return out


@race(X, axes="`b`", reads=True)
def views_of_one_place(x):
    m, n = x.size()
    out = torch.ones(m, 1)
    for a, b in hl.tile([m, n]):
        out.view(-1)[a] = out.view(-1)[a] * 2  # here
        x[a, b] = 0
    return out


@race(X, axes="`b`")
def expanded(x):
    m, n = x.size()
    out = torch.empty(m, 1)
    wide = out.expand(m, n)
    for a, b in hl.tile([m, n]):
        wide[a, b] = x[a, b]  # here
    return out


@race(X, axes="`b`")
def masked_by_the_other_axis(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        hl.store(out, [a], x[a, b].sum(1), extra_mask=a.index % 2 == 0)  # here
    return out


@race(X, axes="`b`")
def under_a_condition_on_the_other_axis(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        if a.id == 0:
            out[a] = x[a, b].sum(1)  # here
    return out


@race(X, axes="`b`")
def chosen_by_a_condition(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        value = 1.0
        if b.id == 0:
            value = 2.0
        out[a] = hl.full([a], value, torch.float32)  # here
        x[a, b] = 0
    return out


@race(X, axes="`b`")
def loop_as_long_as_the_axis_says(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        rounds = hl.zeros([a], torch.float32)
        for _ in hl.tile(b.end):
            rounds += 1
        out[a] = rounds  # here
    return out


@race(X, axes="`b`")
def carried_through_loops(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        before, last = hl.zeros([a], torch.float32), hl.zeros([a], torch.float32)
        for _ in range(hl.specialize(m)):
            before, last = last, last + 1
        for c in hl.tile(n):
            before, last = last, x[a, c].sum(1) + x[a, b].sum(1)
        out[a] = before  # here
    return out


@race(X, axes="`b`")
def parts_of_a_tile(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        for part in hl.tile(b.begin, b.end):
            out[a] = x[a, part].sum(1)  # here
    return out


@race(X, N, axes="`b`")
def scattered_by_the_other_axis(x, index):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[index[a]] = x[a, b].sum(1)  # here
    return out


@race(V, N, axes="`t`")
def scattered_to_one_place(x, index):
    out = torch.empty(64)
    for t in hl.tile(x.size(0)):
        out[index[0]] = x[t].sum()  # here
    return out


@race(X, axes="`b`")
def second_loop(x):
    m, n = x.size()
    first, out = torch.empty(m, n), torch.empty(m)
    for a, b in hl.tile([m, n]):
        first[a, b] = x[a, b]
    hl.barrier()
    for a, b in hl.tile([m, n]):
        out[a] = first[a, b].sum(1)  # here
    return out


@race(X, axes="`b`", config={"block_sizes": [16, 16]})
def tiles_of_the_given_config(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = x[a, b].sum(1)  # here
    return out


@race(X, axes="`b`")
def lanes_of_a_tile(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = hl.full([a, b], 1.0, torch.float32).sum(1)  # here
    return out


@pytest.mark.parametrize("function, args, axes, reads, settings", RACES)
def test_a_race(function, args, axes, reads, settings):
    (found,) = races_of(function, *args, **settings)
    lines, start = inspect.getsourcelines(function)
    assert found.filename == __file__
    assert found.lineno == start + next(k for k, line in enumerate(lines) if line.endswith("# here\n"))
    text = str(found.message)
    assert text.startswith(f"[HLN403] programs of kernel `{function.__name__}` that differ in {axes} ")
    assert ("updates are lost" in text) is reads
    loop = "hl.grid" if function.__name__ == "grid_of_scalars" else "hl.tile"
    assert "\n  help: combine them with hl.atomic_add" in text and f" in {loop}(...):`" in text


# --- no races


@silent(X)
def each_its_own_place(x):
    m, n = x.size()
    out = torch.empty(n, m)
    for a, b in hl.tile([m, n]):
        out[b, a] = x[a, b].T
    return out


@silent(X)
def the_other_axis_as_a_loop(x):
    m, n = x.size()
    out, sums = torch.empty(m), torch.zeros(m)
    for a in hl.tile(m):
        for b in hl.tile(n):
            out[a] = x[a, b].sum(1)
            sums[a] += x[a, b].sum(1)
    return out, sums


@silent(X)
def atomic(x):
    m, n = x.size()
    out = torch.zeros(m)
    for a, b in hl.tile([m, n]):
        hl.atomic_add(out, [a], x[a, b].sum(1))
    return out


@silent(V)
def computed_place(x):
    out = torch.empty(x.size(0))
    for i in hl.grid(x.size(0)):
        out[i // 2] = x[i]
    return out


@silent(V)
def place_by_tile(x):
    n = x.size(0)
    begins, ids, both = torch.empty(n), torch.empty(n), torch.empty(2 * n)
    for t in hl.tile(n):
        begins[t.begin], ids[t.id] = x[t].sum(), x[t].sum()
        both[t.index // 2 + t.begin] = x[t]
    return begins, ids, both


@silent(V, N)
def scattered(x, index):
    out = torch.empty(64)
    for t in hl.tile(x.size(0)):
        out[index[t]] = x[t]
    return out


@silent(V)
def place_given_out_atomically(x):
    count, out = torch.zeros(1, dtype=torch.int32), torch.empty(x.size(0))
    for t in hl.tile(x.size(0)):
        out[hl.atomic_add(count, [0], 1)] = x[t].sum()
    return out


@silent(X)
def shifted(x):
    m, n = x.size()
    out = torch.empty(m, n + 1)
    for a, b in hl.tile([m, n]):
        out[a, b + 1] = x[a, b]
    return out


@silent(X)
def by_one_program(x):
    m, n = x.size()
    out, other = torch.empty(m), torch.zeros(m)
    for a, b in hl.tile([m, n]):
        if b.id == 0:
            out[a] = x[a, b].sum(1)
        if b.begin == 0:
            other[a] += x[a, b].sum(1)
    return out, other


@silent(X)
def by_one_lane(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        hl.store(out, [a], x[a, b].sum(1), extra_mask=hl.full([a], 0, torch.int32) + b.begin == 0)
    return out


@silent(X)
def the_same_from_all(x):
    m, n = x.size()
    out, means, flag = torch.empty(m, n), torch.empty(m), torch.empty(1)
    for a, b in hl.tile([m, n]):
        mean = hl.zeros([a], torch.float32)
        for c in hl.tile(n):
            mean += x[a, c].sum(1)
        means[a] = mean / n
        flag[0] = 1
        out[a, b] = x[a, b] - means[a][:, None]
    return out, means, flag


@silent(X)
def another_place_of_the_same_tensor(x):
    m, n = x.size()
    out = torch.ones(m, 2)
    for a, b in hl.tile([m, n]):
        out[a, 0] = out[a, 1] * 2
        x[a, b] = 0
    return out


@silent(X)
def one_tile(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n], block_size=[None, n]):
        out[a] = x[a, b].sum(1)
    return out


@silent(X, static_shapes=False)
def one_tile_for_all_sizes(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n], block_size=[None, n]):
        out[a] = x[a, b].sum(1)
    return out


@silent(X)
def one_registered_tile(x):
    m, n = x.size()
    out = torch.empty(m)
    whole = hl.register_block_size(64, 128)
    for a, b in hl.tile([m, n], block_size=[None, whole]):
        out[a] = x[a, b].sum(1)
    return out


@silent(X[:, :1])
def one_column(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = x[a, b].sum(1)
    return out


@silent(X[:, :0])
def no_column(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = x[a, b].sum(1)
    return out


@silent(X, configs=[{"block_sizes": [16, 64]}, {"block_sizes": [[32, 128]]}])
def one_tile_by_all_configs(x):
    m, n = x.size()
    out = torch.empty(m)
    for a, b in hl.tile([m, n]):
        out[a] = x[a, b].sum(1)
    return out


@silent(V)
def one_program(x):
    out = torch.zeros(1)
    for _ in hl.grid(1):
        for t in hl.tile(x.size(0)):
            out[0] += x[t].sum()
    return out


@silent(X)
def last_program_adds_up(x):
    m, n = x.size()
    parts, out, arrived = torch.empty(m, n), torch.zeros(m), torch.zeros(1, dtype=torch.int32)
    for a, i in hl.tile([m, n], block_size=[64, 1]):
        parts[a, i] = x[a, i]
        before = hl.atomic_add(arrived, [0], 1, sem="acq_rel")
        if before == n - 1:
            out[a] += parts[a, :].sum(1)
    return out


@silent(V)
def locked(x):
    lock, total = torch.zeros(1, dtype=torch.int32), torch.zeros(1)
    for t in hl.tile(x.size(0)):
        taken = hl.atomic_cas(lock, [0], 0, 1, sem="acquire")
        while taken != 0:
            taken = hl.atomic_cas(lock, [0], 0, 1, sem="acquire")
        total[0] += x[t].sum()
        hl.atomic_xchg(lock, [0], 0, sem="release")
    return total


@silent(X)
def parts_and_a_barrier(x):
    m, n = x.size()
    parts, out = torch.empty(m, 8), torch.empty(m)
    for a, p in hl.tile([m, 8], block_size=[None, 1]):
        parts[a, p.begin] = x[a, p].sum(1)
    hl.barrier()
    for a in hl.tile(m):
        out[a] = parts[a, :].sum(1)
    return out


@pytest.mark.parametrize("function, args, settings", SILENT)
def test_no_race(function, args, settings):
    assert not races_of(function, *args, **settings)


# --- how often, and muting


def two_stores(x):
    total, most = torch.zeros(1), torch.zeros(1)
    for t in hl.tile(x.size(0)):
        total[0] += x[t].sum()
        most[0] = x[t].amax(0)
    return total, most


def test_once_for_a_binding():
    kernel = helion.kernel(two_stores, use_default_config=True)
    with pytest.warns(exc.StoreRace) as caught:
        for size in (32, 64, 32, 64):
            kernel(torch.ones(size))
    assert len(caught) == 2 and all("`total`" in str(w.message) for w in caught)


def test_muted():
    assert not races_of(two_stores, V, ignore_warnings=[exc.StoreRace])
    assert not races_of(two_stores, V, ignore_warnings=["StoreRace"])


def test_a_config_that_is_not_legal_is_refused_by_the_call():
    kernel = helion.kernel(two_stores, config={"block_sizes": [3]})
    bound = kernel.bind((V,))
    with pytest.raises(exc.InvalidConfig):
        bound(V)
