import numpy as np
import pytest

from helion_bench.statistics.controls import explained, witnesses
from helion_bench.statistics.interval import Interval
from helion_bench.statistics.verdict import Judged, Pair, Verdict, judge

SLOWER = Interval(1.10, 1.09, 1.11)


def samples(median: float, noise: float = 0.005, seed: int = 0, rounds: int = 8) -> np.ndarray:
    return median * np.exp(np.random.default_rng(seed).normal(0, noise, rounds))


def quotients(change: float, noise: float = 0.005, seed: int = 0, rounds: int = 8) -> tuple[list[float], list[float]]:
    """Ours / a peer in two runs, that of the second `change` times as large."""
    old, new = samples(0.9, noise, seed, rounds), samples(0.9 * change, noise, seed + 1000, rounds)
    return old.tolist(), new.tolist()


def judged(ours: float, *peers: float, clocks: float = 1.0, noise: float = 0.005) -> Judged:
    """A case in which ours became `ours` and its peers `peers` times as slow, and the clocks changed for all."""
    old, new = samples(10.0), samples(10.0 * ours * clocks, seed=1)
    controls = [quotients(ours / peer, noise, seed=2 + i) for i, peer in enumerate(peers)]
    return judge([Pair(old.tolist(), new.tolist(), controls=controls)], spread=0.01)[0]


@pytest.mark.parametrize("clocks", [1.1, 0.9])
@pytest.mark.parametrize("peers", [1, 3])
def test_what_the_peers_of_the_case_share_is_no_change(clocks: float, peers: int):
    found = judged(1.0, *[1.0] * peers, clocks=clocks)
    assert found.verdict is Verdict.SAME
    assert "but its peers moved alike" in found.reason
    assert judged(1.0, clocks=clocks).verdict is not Verdict.SAME, "without peers it would be one"


@pytest.mark.parametrize("noise", [0.005, 0.1, 0.5])
def test_a_change_of_ours_alone_is_found_beside_peers_however_noisy(noise: float):
    for factor, verdict in ((1.10, Verdict.SLOWER), (0.9, Verdict.FASTER)):
        assert judged(factor, 1.0, 1.0, 1.0, noise=noise).verdict is verdict


def test_one_peer_of_three_that_moved_by_itself_decides_nothing():
    assert judged(1.10, 1.0, 1.12, 1.0).verdict is Verdict.SLOWER
    assert judged(1.0, 1.0, 0.9, 1.0, clocks=1.1).verdict is Verdict.UNCLEAR


def test_a_control_that_cannot_tell_is_no_witness():
    wide, narrow = quotients(1.05, noise=0.3), quotients(1.0)
    assert len(witnesses(SLOWER, [wide, narrow])) == 1
    assert witnesses(SLOWER, [quotients(1.0, rounds=4)]) == []
    assert not explained(SLOWER, [], 0.05)


@pytest.mark.parametrize(("left", "gone"), [(1.00, True), (0.95, True), (1.04, True), (1.06, False), (1.2, False)])
def test_half_of_the_change_must_be_left(left: float, gone: bool):
    assert explained(SLOWER, [Interval(left, left, left)], 0.01) is gone


def test_what_is_left_must_count_by_itself():
    """A product was 8.9 % slower, and its peers 4 %: 4.7 % are left, more than half."""
    moved = Interval(1.067, 1.055, 1.08)
    assert explained(moved, [Interval(1.047, 1.04, 1.05)], 0.05)
    assert not explained(moved, [Interval(1.06, 1.05, 1.07)], 0.05)
    assert explained(SLOWER, [Interval(0.96, 0.95, 0.97)], 0.01), "ours became faster than they did"
