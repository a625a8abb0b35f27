"""The catalogue of an output: its size where nothing is shared, and how it grows."""

from pathlib import Path

import numpy as np
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.training.growth import grow
from tests.unit.schemas import ITEMS, categorical, session_schema
from tests.unit.sessions import session_batch, session_model, session_table

MORE = categorical("item_id", ITEMS + 4, mm.Tags.ITEM_ID)


def model_of(module: torch.nn.Module, **output: object) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        session_schema(), embedding_dim=4, embeddings={"item_id": module}, masking=mm.CausalMasking()
    )
    options: dict[str, object] = {"top_ks": (5,), **output}
    return mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(**options))  # type: ignore[arg-type]


def vectors(tmp_path: Path) -> Path:
    np.save(tmp_path / "items.npy", np.random.default_rng(0).normal(size=(ITEMS + 1, 3)).astype(np.float32))
    return tmp_path / "items.npy"


@pytest.mark.parametrize("kind", ["pretrained", "one-hot"])
@pytest.mark.parametrize("contrastive", [False, True])
def test_items_without_a_table_are_predicted_by_weights_of_the_outputs_own(
    kind: str, contrastive: bool, tmp_path: Path
) -> None:
    item = mm.OneHot(ITEMS + 1) if kind == "one-hot" else mm.PretrainedEmbeddings(vectors(tmp_path))
    model = model_of(item, bias=True)
    if contrastive:
        model = mm.Model(*model.body, mm.ContrastiveOutput(negatives=mm.UniformNegatives(5), top_ks=(5,)))
    assert model.inputs.item_cardinality == model.output.cardinality == ITEMS + 1
    batch = model.inputs.for_training(session_batch())
    loss = model.output.loss(model.body(batch), batch, generator=torch.Generator().manual_seed(0))
    loss.backward()
    assert model.output.weight.grad[1:].abs().sum() > 0
    model.eval().save(tmp_path / "model")
    answers = model.predict(session_table(), k=5)
    assert mm.load(tmp_path / "model").predict(session_table(), k=5).equals(answers)


def test_what_cannot_be_shared_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match="embedded by a OneHot, whose vectors an output cannot share, expected"
    ):
        model_of(mm.OneHot(ITEMS + 1), weight_tying=True)
    with pytest.raises(TypeError, match="embedded by a PretrainedEmbeddings, whose vectors an output cannot"):
        model_of(mm.PretrainedEmbeddings(vectors(tmp_path)), weight_tying=True)


def test_items_in_a_table_of_several_domains_are_counted_alone() -> None:
    table = mm.EmbeddingTable(session_schema().select_by_name(["item_id", "category"]), 4)
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        session_schema(), embeddings={"item_id": table, "category": table}, masking=mm.CausalMasking()
    )
    model = mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(top_ks=(5,)))
    assert model.output.cardinality == ITEMS + 1


def test_without_an_item_column_there_is_no_catalogue() -> None:
    inputs = mm.TabularInputBlock(mm.Schema([categorical("country", 4, lists=False)]))
    with pytest.raises(ValueError, match=r"no column is tagged Tags\.ITEM_ID among"):
        mm.Model(inputs, mm.MLPBlock([4]), mm.CategoricalOutput(target="item"))


@pytest.mark.parametrize("start", ["random", "mean"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_growth_keeps_the_scores_and_figures_of_old_items(
    start: str, tied: bool, bias: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = session_model(weight_tying=tied, bias=bias, metrics=("recall", "coverage")).eval()
    if bias:
        torch.nn.init.normal_(model.output.bias)
    planned = model.inputs.for_evaluation(session_batch())
    new = tuple(range(ITEMS + 1, ITEMS + 5))

    def figures(never: tuple[int, ...]) -> dict[str, torch.Tensor]:
        metrics = model.output.make_metrics()
        model.output.update_metrics(metrics, model.body(planned), planned, never=never)
        return {name: value for name, value in metrics.compute().items() if "recall" in name}

    before, scores = figures(()), model(session_batch())
    model.grow(MORE, start=start, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    assert model.output.cardinality == ITEMS + 5
    torch.testing.assert_close(model(session_batch())[:, : ITEMS + 1], scores)
    assert figures(new) == before
    if not tied:
        added = model.output.weight[ITEMS + 1 :]
        expected = model.output.weight[1 : ITEMS + 1].mean(0).expand_as(added)
        assert torch.allclose(added, expected) == (start == "mean")
        assert added.abs().max() <= model.output.weight.shape[1] ** -0.5
    if bias and start == "random":
        assert not model.output.bias[ITEMS + 1 :].any()
    model.save(tmp_path / "grown")
    assert torch.equal(mm.load(tmp_path / "grown")(session_batch()), model(session_batch()))
    loss = model.output.loss(model.body(planned), planned)
    loss.backward()
    assert model.output.item_vectors.grad[-1].abs().sum() > 0


def test_negatives_of_a_grown_catalogue_include_the_new_items() -> None:
    torch.manual_seed(0)
    base = session_model()
    output = mm.ContrastiveOutput(negatives=mm.UniformNegatives(400), top_ks=(5,))
    model = mm.Model(*base.body, output)
    grow(model, MORE)
    drawn = output.negatives(torch.tensor([1]), generator=torch.Generator().manual_seed(0)).ids
    assert int(drawn.max()) == ITEMS + 4


def test_a_target_of_its_own_domain_grows_by_its_name(tmp_path: Path) -> None:
    target = categorical("next", 9, mm.Tags.TARGET, lists=False)
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(mm.Schema([categorical("country", 4, lists=False)]), embedding_dim=4)
    model = mm.Model(inputs, mm.MLPBlock([4]), mm.CategoricalOutput(target=target, top_ks=(3,))).eval()
    batch = mm.Batch({"country": torch.tensor([1, 2])})
    before = model(batch)
    grow(model, categorical("next", 12, mm.Tags.TARGET, lists=False))
    after = model(batch)
    assert after.shape == (2, 13)
    torch.testing.assert_close(after[:, :10], before)
    model.save(tmp_path / "model")
    assert torch.equal(mm.load(tmp_path / "model")(batch), after)


def test_what_cannot_grow_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="'item_id' has ids from 0 to 34, and its PretrainedEmbeddings has 31"
    ):
        grow(model_of(mm.PretrainedEmbeddings(vectors(tmp_path))), MORE)
    with pytest.raises(ValueError, match="'item_id' has ids from 0 to 34, and its OneHot has 31"):
        grow(model_of(mm.OneHot(ITEMS + 1)), MORE)
    with pytest.raises(ValueError, match=r"the model has no categorical columns \['shop'\], only"):
        grow(session_model(), categorical("shop", 3))
    with pytest.raises(ValueError, match="has ids up to 30 and would get 5: a table only grows"):
        grow(session_model(), categorical("item_id", 5, mm.Tags.ITEM_ID))
