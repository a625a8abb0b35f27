"""Clipping, accumulation and bf16, with dense and sparse gradients."""

import copy

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table
from tests.unit.training.loops import (
    assert_same,
    click_model,
    fitted,
    loader,
    loss_of,
    others,
    plain_loop,
)
from tests.unit.training.test_model import trainer

Config = mm.OptimizerConfig
ADAM = Config("adam", lr=0.01)


@pytest.mark.parametrize("by", ["norm", "value"])
def test_gradients_are_clipped(by: str) -> None:
    plain = click_model()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.5)
    limit = 0.05 if by == "norm" else 0.01
    clip = clip_grad_norm_ if by == "norm" else clip_grad_value_
    plain_loop(plain, [optimizer], before=lambda: clip(plain.parameters(), limit))
    clipped = fitted(
        click_model(optimizer=Config("sgd", lr=0.5)), gradient_clip_val=limit, gradient_clip_algorithm=by
    )
    assert_same(clipped, plain)
    free = fitted(click_model(optimizer=Config("sgd", lr=0.5)))
    assert not torch.equal(others(free)[0], others(plain)[0])


@pytest.mark.parametrize("by", ["norm", "value"])
def test_sparse_gradients_are_clipped_with_the_dense_ones(by: str) -> None:
    limit = 0.05 if by == "norm" else 0.01
    models = [
        fitted(
            click_model(sparse=sparse, optimizer=Config("sgd", lr=0.5)),
            gradient_clip_val=limit,
            gradient_clip_algorithm=by,
        )
        for sparse in (True, False)
    ]
    assert_same(*models, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_accumulated_batches_equal_the_joined_one(sparse: bool) -> None:
    # Each batch has the same number of labels, so that the mean of means is the mean of all.
    optimizer = Config("adam", lr=0.01)
    accumulated = fitted(click_model(sparse=sparse, optimizer=optimizer), accumulate_grad_batches=3)
    joined = click_model(sparse=sparse, optimizer=optimizer)
    trainer(max_epochs=2).fit(joined, loader(batch_size=24))
    assert_same(accumulated, joined, rtol=0, atol=1e-6)


def test_accumulation_gives_each_batch_the_same_weight() -> None:
    # Batches of 8 and of 2 labels: the gradient is the mean of the two means.
    model = click_model(optimizer=Config("sgd", lr=0.5))
    plain = copy.deepcopy(model)
    data = loader(10)
    trainer(max_epochs=1, accumulate_grad_batches=2).fit(model, data)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.5)
    for batch in data:
        (loss_of(plain, batch) / 2).backward()
    optimizer.step()
    assert_same(model, plain, rtol=0, atol=1e-7)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_bf16_stays_near_fp32(precision: str, sparse: bool) -> None:
    losses = {}
    states = {}
    for kind in ("32-true", precision):
        model = click_model(sparse=sparse, optimizer=Config("adam", lr=0.02))
        run = trainer(max_epochs=6, precision=kind, gradient_clip_val=1.0)
        run.fit(model, loader())
        with torch.no_grad():
            losses[kind] = loss_of(model.float(), next(iter(loader(48, 48)))).item()
        state = run.optimizers[0].state
        states[kind] = {v["exp_avg"].dtype for v in state.values()}
    start = loss_of(click_model(), next(iter(loader(48, 48)))).item()
    assert losses["32-true"] < start - 0.05
    assert losses[precision] == pytest.approx(losses["32-true"], abs=0.02)
    # Mixed precision keeps weights and moments in fp32, the other has all in bf16.
    assert states[precision] == {torch.bfloat16 if precision == "bf16-true" else torch.float32}


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_a_session_model_learns_in_bf16(precision: str) -> None:
    losses = {}
    for kind in ("32-true", precision):
        torch.manual_seed(0)
        model = session_model()
        model.optimizer = Config(lr=0.01)
        data = mm.ParquetLoader(session_table(), session_schema(), batch_size=24)
        run = trainer(max_epochs=8, precision=kind)
        run.fit(model, data, data)
        losses[kind] = float(run.callback_metrics["val_loss"])
    assert losses[precision] == pytest.approx(losses["32-true"], rel=0.03)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("foreign", [False, True])
def test_a_model_cast_by_hand_answers_as_in_fp32(foreign: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        session_schema(),
        embedding_dim=16,
        embeddings={"category": mm.OneHot(8)} if foreign else None,
        masking=mm.RandomMasking(),
    )
    body = mm.TransformerBlock(16, heads=2, layers=1, max_length=20)
    model = mm.Model(inputs, mm.MLPBlock([16]), body, mm.CategoricalOutput(weight_tying=True)).eval()
    batch = next(iter(mm.ParquetLoader(session_table(), session_schema(), batch_size=24)))
    with torch.no_grad():
        plain, cast = model(batch), copy.deepcopy(model).to(dtype)(batch)
    assert cast.dtype == dtype
    torch.testing.assert_close(cast, plain, check_dtype=False, rtol=0, atol=0.05 * plain.std().item())


def test_64_true_is_fp64_throughout() -> None:
    found = {}
    for kind in ("32-true", "64-true"):
        torch.manual_seed(0)
        model = session_model()
        model.optimizer = Config("sgd", lr=0.1)
        run = trainer(max_epochs=2, precision=kind)
        data = mm.ParquetLoader(session_table(), session_schema(), batch_size=24)
        run.fit(model, data, data)
        found[kind] = (model, float(run.callback_metrics["val_loss"]))
    double = found["64-true"][0]
    assert {p.dtype for p in double.parameters()} == {torch.float64}
    assert found["64-true"][1] == pytest.approx(found["32-true"][1], rel=1e-4)
