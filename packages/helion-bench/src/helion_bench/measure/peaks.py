"""Ceilings of GPUs: memory bandwidth and dense arithmetic, as their makers state them.

Sources: NVIDIA A100 data sheet (2021), H100 data sheet (2024), H200 data sheet (2024), Blackwell architecture technical
brief (2024); AMD Instinct MI300X data sheet (2023). Dense figures, at boost clocks; what a kernel can reach under the
power limit is lower.
"""

from __future__ import annotations

import re

from ..results.model import Peaks

_A100 = {"float32": 19.5, "tfloat32": 156.0, "bfloat16": 312.0, "float16": 312.0}
_HOPPER = {"float32": 66.9, "tfloat32": 494.7, "bfloat16": 989.4, "float16": 989.4, "float8_e4m3fn": 1978.9}
_H100_PCIE = {"float32": 51.2, "tfloat32": 378.0, "bfloat16": 756.0, "float16": 756.0, "float8_e4m3fn": 1513.0}
_H100_NVL = {"float32": 60.0, "tfloat32": 417.5, "bfloat16": 835.0, "float16": 835.0, "float8_e4m3fn": 1670.5}
_B200 = {"float32": 80.0, "tfloat32": 1100.0, "bfloat16": 2250.0, "float16": 2250.0, "float8_e4m3fn": 4500.0}
_MI300X = {"float32": 163.4, "tfloat32": 653.7, "bfloat16": 1307.4, "float16": 1307.4, "float8_e4m3fnuz": 2614.9}

_TABLE = (  # the first that is found in the name that the driver gives
    ("A100.*80GB PCIe", 1935.0, _A100, "NVIDIA A100 data sheet"),
    ("A100.*80GB", 2039.0, _A100, "NVIDIA A100 data sheet"),
    ("A100", 1555.0, _A100, "NVIDIA A100 data sheet"),
    ("H100 NVL", 3938.0, _H100_NVL, "NVIDIA H100 data sheet"),
    ("H100 PCIe", 2039.0, _H100_PCIE, "NVIDIA H100 data sheet"),
    ("H100", 3352.0, _HOPPER, "NVIDIA H100 data sheet"),
    ("H200", 4800.0, _HOPPER, "NVIDIA H200 data sheet"),
    ("GB200|B200", 8000.0, _B200, "NVIDIA Blackwell architecture technical brief"),
    ("MI300X", 5300.0, _MI300X, "AMD Instinct MI300X data sheet"),
)


def peaks(name: str) -> Peaks:
    """The ceilings of the GPU of that name; all unknown for one that is not in the table."""
    for pattern, gbps, tflops, source in _TABLE:
        if re.search(pattern, name):
            return Peaks(gbps, tuple(tflops.items()), f"{source}: dense, at boost clocks")
    return Peaks()
