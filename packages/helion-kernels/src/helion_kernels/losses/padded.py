"""Logits that a linear layer writes: where they lie in memory, and the products that write and read them.

Rows start at multiples of 64 elements, and products with a vocabulary that is no multiple of 8 are made in two parts,
both of which are aligned then. They are cuBLAS's; docs/decisions/005 has the measurements.
"""

from __future__ import annotations

import functools

import torch

EVEN_CLASSES = 8  # products of other numbers of classes are made in two parts
ROW_ELEMENTS = 64  # rows of logits start at multiples of these


def row_stride(n: int) -> int:
    return -(-n // ROW_ELEMENTS) * ROW_ELEMENTS


def padded(m: int, n: int, like: torch.Tensor) -> torch.Tensor:
    """Memory for logits [m, n] of the dtype of `like`."""
    return torch.empty_strided((m, n), (row_stride(n), 1), dtype=like.dtype, device=like.device)


def parts(n: int) -> list[slice]:
    """Classes in multiples of 8, and the rest: cuBLAS takes 2 to 9 times as long for sizes that are none."""
    even = n - n % EVEN_CLASSES
    return [slice(0, n)] if even in (0, n) else [slice(0, even), slice(even, n)]


def write_product(out: torch.Tensor, a: torch.Tensor, b: torch.Tensor, added: torch.Tensor | None = None) -> None:
    """a @ b + added."""
    if added is None:
        torch.mm(a, b, out=out)
    else:
        torch.addmm(added, a, b, out=out)


def write_logits(out: torch.Tensor, x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x @ matrix.T + bias."""
    for part in parts(matrix.size(0)):
        write_product(out[:, part], x, matrix[part].t(), None if bias is None else bias[part])
    return out


def write_gradient_of_rows(out: torch.Tensor, grad: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """grad @ matrix; the few classes first, so that what is rounded between the parts is small."""
    first, *rest = reversed(parts(matrix.size(0)))
    write_product(out, grad[:, first], matrix[first])
    for part in rest:
        write_product(out, grad[:, part], matrix[part], out)
    return out


def write_gradient_of_matrix(out: torch.Tensor, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """grad.T @ x."""
    for part in parts(grad.size(1)):
        write_product(out[part], grad[:, part].t(), x)
    return out


def add_gradient_of_matrix(total: torch.Tensor, grad: torch.Tensor, x: torch.Tensor, first: bool) -> None:
    """Adds grad.T @ x to `total`, which is float32, and undefined before the first."""
    for part in parts(grad.size(1)):
        _add_product(total[part], grad[:, part].t(), x, first)


def _add_product(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, first: bool) -> None:
    if a.dtype is torch.float32:
        write_product(total, a, b, None if first else total)
    elif a.is_cuda and _adds_in_place(a.dtype, a.device):
        torch.addmm(total, a, b, out_dtype=torch.float32, beta=0 if first else 1, out=total)
    else:
        product = torch.empty_like(total, dtype=a.dtype)
        write_product(product, a, b)
        if first:
            total.copy_(product)
        else:
            total += product


@functools.cache
def _adds_in_place(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch adds products of this dtype to a float32 matrix in place, which not every build does."""
    a = torch.ones(16, 16, dtype=dtype, device=device)
    total = torch.ones(16, 16, dtype=torch.float32, device=device)
    try:
        torch.addmm(total, a, a, out_dtype=torch.float32, out=total)
    except (RuntimeError, TypeError):
        return False
    return bool((total == 17.0).all())
