"""A short run of the differential fuzz; `hatch run fuzz` runs longer ones."""

from __future__ import annotations

import random
import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import fuzz
from kernels import CASES


def test_sampled_configs_compute_what_the_reference_does():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done, failures = fuzz.run(seed=2026, count=120)
    assert not failures, "\n".join(failures)
    assert done == 120


def test_kernels_for_all_sizes_do_so_too():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done, failures = fuzz.run(seed=7, count=30, dynamic=True)
    assert not failures, "\n".join(failures)
    assert done == 30


def test_a_seed_repeats_its_trials():
    first, second = (str(fuzz.sample_trial(random.Random(5))) for _ in range(2))
    assert first == second


def test_failures_shrink_to_their_keys(monkeypatch):
    case = CASES[0]
    spec = case.kernel.bind(case.make(0, torch.float32)).config_spec
    monkeypatch.setattr(fuzz, "failure", lambda trial: "wrong" if trial.config["num_warps"] == 2 else None)
    trial = fuzz.Trial(case, torch.float32, 0, spec.normalize(spec.default().replace(num_warps=2, num_stages=5)))
    assert fuzz.bad_keys(fuzz.shrink(trial)) == {"num_warps": 2}
