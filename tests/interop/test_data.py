"""Data sets and loaders of merlin-core and merlin-dataloader where ours are taken."""

import importlib.metadata
import warnings
from typing import Any

import lightning
import numpy as np
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table

for distribution in ("merlin-core", "merlin-dataloader"):
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{distribution} is not installed", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # merlin-core warns of every framework that is absent
    import merlin.io
    import merlin.schema
    from merlin.dataloader.torch import Loader

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask and merlin-core under newer libraries

ROWS = 10


def their_schema() -> Any:
    columns = []
    for column in session_schema():
        columns.append(
            merlin.schema.ColumnSchema(
                column.name,
                tags=[merlin.schema.Tags(tag.value) for tag in column.tags if isinstance(tag, mm.Tags)],
                dtype=np.int64 if mm.Tags.CATEGORICAL in column.tags else np.float32,
                is_list=column.is_list,
                is_ragged=column.is_ragged,
                properties=dict(column.properties),
            )
        )
    return merlin.schema.Schema(columns)


@pytest.fixture(scope="module")
def dataset() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = merlin.io.Dataset(session_table(ROWS).drop_columns(["user_id"]).to_pandas())
    dataset.schema = their_schema()
    return dataset


def same(one: mm.Batch, other: mm.Batch) -> bool:
    assert set(one.features) == set(other.features)
    return all(
        torch.equal(one.padded(name), other.padded(name))
        if isinstance(one[name], mm.Ragged)
        else torch.equal(one[name], other[name])
        for name in one.features
    )


def test_the_parquet_loader_reads_a_dataset(dataset: Any) -> None:
    ours = list(mm.ParquetLoader(session_table(ROWS), session_schema(), batch_size=4))
    theirs = list(mm.ParquetLoader(dataset, dataset.schema, batch_size=4))
    assert len(ours) == len(theirs) == 3
    assert all(same(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_loader_gives_the_same_batches(dataset: Any) -> None:
    loader = mm.data.from_merlin(Loader(dataset, batch_size=4, shuffle=False))
    ours = list(mm.ParquetLoader(session_table(ROWS), session_schema(), batch_size=4))
    theirs = list(loader)
    assert len(loader) == 3
    assert all(same(one, other) for one, other in zip(ours, theirs, strict=True))
    assert loader.schema.cardinality("item_id") == session_schema().cardinality("item_id")
    assert len(list(loader)) == 3  # another epoch


def test_targets_of_a_loader_have_their_names(dataset: Any) -> None:
    schema = dataset.schema
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled = merlin.io.Dataset(session_table(ROWS).drop_columns(["user_id"]).to_pandas())
    labelled.schema = schema.without(["country"]) + merlin.schema.Schema(
        [schema["country"].with_tags([merlin.schema.Tags.TARGET])]
    )
    batch = next(iter(mm.data.from_merlin(Loader(labelled, batch_size=ROWS, shuffle=False))))
    assert batch.targets["country"].tolist() == session_table(ROWS)["country"].to_pylist()
    assert "country" not in batch.features


def test_a_trainer_fits_a_loader_as_it_does_ours(dataset: Any) -> None:
    weights = []
    for loader in (
        mm.data.from_merlin(Loader(dataset, batch_size=5, shuffle=False)),
        mm.ParquetLoader(session_table(ROWS), session_schema(), batch_size=5),
    ):
        torch.manual_seed(0)
        model = session_model()
        start = model.inputs.item_table.weight.detach().clone()
        torch.manual_seed(1)
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, loader)
        assert trainer.global_step == 2
        assert not torch.equal(start, model.inputs.item_table.weight)
        weights.append(model.inputs.item_table.weight.detach())
    assert torch.equal(*weights)


def test_predict_answers_a_dataset(dataset: Any) -> None:
    model = session_model().eval()
    answers = model.predict(dataset, k=3)
    assert answers["item_id"].to_pylist() == model.predict(session_table(ROWS), k=3)["item_id"].to_pylist()


def test_blocks_are_built_from_their_schema(dataset: Any) -> None:
    torch.manual_seed(0)
    ours = mm.TabularInputBlock(session_schema(), embedding_dim=4)
    torch.manual_seed(0)
    theirs = mm.TabularInputBlock(dataset.schema, embedding_dim=4)
    batch = next(iter(mm.ParquetLoader(dataset, dataset.schema, batch_size=4)))
    assert torch.equal(ours(ours.prepare(batch)[0]), theirs(theirs.prepare(batch)[0]))
    router = mm.RouterBlock(dataset.schema).add_route(merlin.schema.Tags.USER)
    assert list(router(batch)) == ["country"]


def test_a_schema_is_inferred_from_a_dataset(dataset: Any) -> None:
    inferred = mm.Schema.infer(dataset)
    assert inferred.cardinality("item_id") == 1 + max(
        max(row) for row in dataset.to_ddf().compute()["item_id"]
    )
    assert inferred["country"].int_domain is not None


def test_a_model_of_their_schema_is_saved_and_loaded(dataset: Any, tmp_path: Any) -> None:
    model = mm.SessionModel(dataset.schema, dim=8, layers=1, top_ks=(3,)).eval()
    model.save(tmp_path / "model")
    loaded = mm.load(tmp_path / "model")
    assert loaded.schema == model.schema
    assert loaded.predict(dataset, k=3).equals(model.predict(dataset, k=3))
