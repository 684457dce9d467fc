"""Cross entropy of logits [tokens, vocabulary] and labels [tokens]: mean of logsumexp(logits[i, :]) - logits[i,
labels[i]].
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of every token."""
    tokens = logits.size(0)
    out = torch.empty([tokens], dtype=torch.float32, device=logits.device)
    for tile in hl.tile(tokens):
        row = logits[tile, :].to(torch.float32)
        chosen = logits[tile.index, labels[tile]].to(torch.float32)
        out[tile] = torch.logsumexp(row, dim=-1) - chosen
    return out


@helion.kernel()
def losses_online(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """For vocabularies that do not fit: maximum and sum are carried over parts of the row."""
    tokens, vocabulary = logits.size()
    out = torch.empty([tokens], dtype=torch.float32, device=logits.device)
    for tile in hl.tile(tokens):
        high = hl.full([tile], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile], dtype=torch.float32)
        for part in hl.tile(vocabulary):
            row = logits[tile, part].to(torch.float32)
            new_high = torch.maximum(high, row.amax(-1))
            total = total * torch.exp(high - new_high) + torch.exp(row - new_high[:, None]).sum(-1)
            high = new_high
        chosen = logits[tile.index, labels[tile]].to(torch.float32)
        out[tile] = high + torch.log(total) - chosen
    return out


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return losses(logits, labels).mean()


def cross_entropy_online(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return losses_online(logits, labels).mean()


def reference(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, labels)


def _cases(device: str, dtype: torch.dtype, tokens: int, vocabulary: int) -> Iterator[Case]:
    logits = torch.randn(tokens, vocabulary, device=device, dtype=dtype) * 5
    labels = torch.randint(0, vocabulary, (tokens,), device=device)
    yield Case(f"whole rows, {tokens}x{vocabulary}", cross_entropy, (logits, labels), reference)
    yield Case(f"online, {tokens}x{vocabulary}", cross_entropy_online, (logits, labels), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 29, 300)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 8192, 32000)


if __name__ == "__main__":
    main()
