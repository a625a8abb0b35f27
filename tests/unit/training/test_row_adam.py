"""Adam on rows against torch's on sparse tensors."""

import copy

import pytest
import torch

from merlin_models_torch.training.row_adam import RowSparseAdam


def table() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(30, 4, generator=torch.Generator().manual_seed(0)))


def gradients(steps: int) -> list[torch.Tensor]:
    """Rows met twice, rows met in one step only, and a step without any."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for step in range(steps):
        count = 0 if step == 3 else 9
        rows = torch.randint(0, 12 + step, (1, count), generator=generator)
        values = torch.randn(count, 4, generator=generator)
        found.append(torch.sparse_coo_tensor(rows, values, (30, 4), check_invariants=True))
    return found


@pytest.mark.parametrize(
    "settings", [{}, {"lr": 0.3, "betas": (0.5, 0.8), "eps": 1e-2}, {"maximize": True, "lr": 0.1}]
)
def test_steps_and_state_are_those_of_torch(settings):
    ours, torchs = table(), table()
    optimizers = RowSparseAdam([ours], **settings), torch.optim.SparseAdam([torchs], **settings)
    for grad in gradients(6):
        for parameter, optimizer in zip((ours, torchs), optimizers, strict=True):
            parameter.grad = grad.clone()
            optimizer.step()
    torch.testing.assert_close(ours, torchs, rtol=0, atol=0)
    states = [optimizer.state_dict() for optimizer in optimizers]
    assert states[0]["param_groups"] == states[1]["param_groups"]
    torch.testing.assert_close(states[0]["state"], states[1]["state"], rtol=0, atol=0)


def test_it_goes_on_from_a_state_of_torch():
    first, *rest = gradients(3)
    ours, torchs = table(), table()
    theirs = torch.optim.SparseAdam([torchs])
    torchs.grad = first
    theirs.step()
    ours.data.copy_(torchs.data)
    optimizer = RowSparseAdam([ours])
    optimizer.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for grad in rest:
        ours.grad, torchs.grad = grad, grad
        optimizer.step()
        theirs.step()
    torch.testing.assert_close(ours, torchs, rtol=0, atol=0)


def test_the_closure_is_called_with_gradients_on():
    parameter = table()

    def closure() -> torch.Tensor:
        loss = torch.nn.functional.embedding(torch.tensor([2, 5]), parameter, sparse=True).sum()
        loss.backward()
        return loss.detach()

    before = parameter.detach().clone()
    loss = RowSparseAdam([parameter], lr=0.5).step(closure)
    torch.testing.assert_close(loss, before[[2, 5]].sum())
    # The first step of Adam is the rate, whatever the gradient.
    torch.testing.assert_close(before[[2, 5]] - parameter.detach()[[2, 5]], torch.full((2, 4), 0.5))
    assert (parameter.detach() == before).all(1).sum() == 28


def test_a_dense_gradient_is_refused():
    parameter = table()
    parameter.grad = torch.ones(30, 4)
    with pytest.raises(ValueError, match="not sparse in rows"):
        RowSparseAdam([parameter]).step()
