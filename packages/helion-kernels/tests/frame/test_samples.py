"""Sample calls: what the operations are measured and tuned with."""

from __future__ import annotations

import torch

from helion_kernels.frame import Call


def turned(x, given):
    out = (2 * x).transpose(1, 2)
    out.register_hook(given.append)
    return out


def test_gradients_are_given_as_results_are_laid_out():
    """Backward kernels are specialised to strides, and a network gives the gradient of a result as that lies."""
    given: list[torch.Tensor] = []
    x = torch.ones([2, 3, 4, 5], requires_grad=True)
    result, (found,) = Call("turned", turned, (x, given)).run()
    assert given[0].stride() == result.stride() != given[0].contiguous().stride()
    assert torch.equal(found.transpose(1, 2), 2 * given[0])


def test_gradients_are_normal_and_the_same_in_every_run():
    call = Call("doubled", lambda x: 2 * x, (torch.ones([50, 50], requires_grad=True),))
    (first,), (second,) = (call.run()[1] for _ in range(2))
    assert torch.equal(first, second)
    assert abs(first.mean()) < 0.2 and abs(first.std() - 2) < 0.2
