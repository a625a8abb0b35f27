"""EmbeddingTable: rows of several domains, combiners, growth, initial vectors, unknown ids."""

import copy

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.serialize import from_config, to_config
from tests.unit.schemas import categorical

BOTH = mm.Schema([categorical("item", 4), categorical("genre", 3), categorical("liked", 4, domain="item")])
IDS = torch.tensor([[1, 2, 0], [3, 3, 0], [0, 0, 0]])
RAGGED = mm.Ragged(torch.tensor([1, 2, 3, 3]), torch.tensor([0, 2, 4, 4]))


def test_domains_neither_overlap_nor_miss_rows() -> None:
    table = mm.EmbeddingTable(BOTH, 2)
    assert table.num_embeddings == 1 + 4 + 3
    with torch.no_grad():
        table.weight[:, 0] = torch.arange(8)
    every = table({"item": torch.arange(5), "genre": torch.arange(4), "liked": torch.tensor([4])})
    assert every["item"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert every["genre"][:, 0].tolist() == [0, 5, 6, 7]
    assert every["liked"][:, 0].tolist() == [4]
    assert table.vectors("genre")[:, 0].tolist() == [0, 5, 6, 7]


def test_an_id_beyond_its_domain_never_reads_the_next_one() -> None:
    table = mm.EmbeddingTable(BOTH, 2)
    for column in BOTH:
        largest = BOTH.cardinality(column.name) - 1
        for wrong in (largest + 1, -1):
            said = f"column '{column.name}' has id {wrong}, expected 0 to {largest}: encode the ids"
            with pytest.raises(IndexError, match=said):
                table({column.name: torch.tensor([1, wrong])})
    pooled = mm.EmbeddingTable(BOTH.select_by_name(["genre"]), 2, combiner="mean")
    with pytest.raises(IndexError, match="column 'genre' has id 9, expected 0 to"):
        pooled(mm.Ragged(torch.tensor([1, 9]), torch.tensor([0, 2])))
    for odd in (torch.tensor([1.0]), mm.Ragged(torch.tensor([]), torch.tensor([0, 0]))):
        with pytest.raises(TypeError, match=r"column 'genre' has ids of type torch\.float32, expected"):
            pooled({"genre": odd})


@pytest.mark.parametrize("how", ["mean", "sum", "sqrtn", "max", "attention"])
@pytest.mark.parametrize("sparse", [False, True])
def test_ragged_and_dense_lists_are_combined_to_the_same(how: str, sparse: bool) -> None:
    torch.manual_seed(0)
    table = mm.EmbeddingTable(categorical("item", 4), 3, combiner=how, sparse=sparse)  # type: ignore[arg-type]
    if how == "attention":
        nn.init.normal_(table.combiner.module.query)  # type: ignore[union-attr]
    dense, ragged = table(IDS), table(RAGGED)
    torch.testing.assert_close(dense, ragged)
    both, three = table.weight[1:3], table.weight[3]
    by_hand = {
        "mean": [both.mean(0), three],
        "sum": [both.sum(0), 2 * three],
        "sqrtn": [both.sum(0) / 2**0.5, 2 * three / 2**0.5],
        "max": [both.amax(0), three],
    }.get(how)
    if by_hand is not None:
        torch.testing.assert_close(dense, torch.stack([*by_hand, torch.zeros(3)]))
    grads = []
    for output in (dense, ragged):
        table.zero_grad()
        output.square().sum().backward(retain_graph=True)
        gradient = table.weight.grad
        assert gradient is not None
        assert gradient.is_sparse == sparse
        grads.append(gradient.to_dense())
    torch.testing.assert_close(*grads)
    assert not grads[0][0].any()


def test_without_a_combiner_lists_stay_lists() -> None:
    table = mm.EmbeddingTable(categorical("item", 4), 2)
    assert torch.equal(table(IDS), nn.functional.embedding(IDS, table.weight))
    ragged = table(RAGGED)
    assert torch.equal(ragged.values, table.weight[RAGGED.values])
    assert torch.equal(ragged.offsets, RAGGED.offsets)


def test_lists_inside_lists_are_combined_per_item() -> None:
    table = mm.EmbeddingTable(categorical("genre", 4), 2, combiner="mean")
    nested = torch.tensor([[[1, 2], [3, 0]], [[4, 4], [0, 0]]])
    expected = torch.stack([torch.stack([table(row) for row in rows[:, None]]) for rows in nested])[:, :, 0]
    torch.testing.assert_close(table(nested), expected)
    ragged = mm.Ragged(nested.view(4, 2)[:3], torch.tensor([0, 2, 3]))
    torch.testing.assert_close(table(ragged).padded(), expected)


@pytest.mark.parametrize("unknown", [None, 1, "last"])
def test_growth_keeps_every_old_vector(unknown: int | str | None) -> None:
    table = mm.EmbeddingTable(BOTH, 2, unknown=unknown)  # type: ignore[arg-type]
    before = {name: table.vectors(name).detach().clone() for name in ("item", "genre")}
    lost = table({"item": torch.tensor([99])})["item"].detach().clone() if unknown else None
    new = mm.Schema([categorical("item", 7), categorical("brand", 2)])
    assert table.grow(new, generator=torch.Generator().manual_seed(0)) is table
    assert table.num_embeddings == table.weight.shape[0] == 1 + 7 + 3 + 2 + (3 if unknown == "last" else 0)
    for name, old in before.items():
        assert torch.equal(table.vectors(name)[: len(old)], old)
    assert table.vectors("item")[5:].abs().min() > 0
    assert torch.equal(table({"liked": torch.tensor([7])})["liked"][0], table.vectors("item")[7])
    if lost is not None:
        assert torch.equal(table({"item": torch.tensor([99])})["item"], lost)


def test_new_rows_start_where_asked() -> None:
    table = mm.EmbeddingTable(categorical("item", 4), 2, unknown=1)
    mean, unknown = table.weight[1:].mean(0).detach().clone(), table.weight[1].detach().clone()
    torch.testing.assert_close(
        copy.deepcopy(table).grow(categorical("item", 6), start="mean").weight[5:], mean.expand(2, 2)
    )
    assert torch.equal(table.grow(categorical("item", 6), start="unknown").weight[5:], unknown.expand(2, 2))
    with pytest.raises(ValueError, match=r"'item' has ids up to 6 and would get 3: a table only grows"):
        table.grow(categorical("item", 3))
    with pytest.raises(ValueError, match="new rows start from 'unknown'"):
        mm.EmbeddingTable(categorical("item", 4), 2).grow(categorical("item", 5), start="unknown")


def test_unknown_ids_get_their_row() -> None:
    first = mm.EmbeddingTable(BOTH, 2, unknown=1)
    found = first({"genre": torch.tensor([9, -3, 1, 0])})["genre"]
    assert torch.equal(found, first.vectors("genre")[[1, 1, 1, 0]])
    last = mm.EmbeddingTable(categorical("item", 4), 2, unknown="last")
    assert torch.equal(last(torch.tensor([5, 1000, 4])), last.weight[[5, 5, 4]])
    with pytest.raises(ValueError, match="unknown is 5, expected an id from 1 to 3 of the domain 'genre'"):
        mm.EmbeddingTable(mm.Schema([categorical("genre", 3)]), 2, unknown=5)


@pytest.mark.parametrize("trainable", [True, False])
def test_a_matrix_is_the_start_and_may_be_frozen(trainable: bool) -> None:
    matrix = torch.arange(10.0).view(5, 2) + 1
    table = mm.EmbeddingTable(categorical("item", 4), weights=matrix.numpy(), trainable=trainable)
    assert table.dim == 2
    assert torch.equal(table.weight[1:], matrix[1:])
    assert not table.weight[0].any()
    assert table.weight.requires_grad == trainable
    assert table.grow(categorical("item", 5)).weight.requires_grad == trainable
    both = mm.EmbeddingTable(BOTH, 2, weights={"genre": torch.ones(4, 2)})
    assert torch.equal(both.vectors("genre")[1:], torch.ones(3, 2))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"domain 'item' have the shape \(4, 2\), expected \(5, 2\)"):
        mm.EmbeddingTable(categorical("item", 4), weights=torch.ones(4, 2))
    with pytest.raises(ValueError, match=r"holds the domains \['item', 'genre'\]: give the weights by name"):
        mm.EmbeddingTable(BOTH, weights=torch.ones(4, 2))
    with pytest.raises(ValueError, match=r"pass the columns by name"):
        mm.EmbeddingTable(BOTH, 2)(IDS)
    with pytest.raises(KeyError, match=r"none of the table's columns .* is in \['other'\]"):
        mm.EmbeddingTable(BOTH, 2)({"other": IDS})
    with pytest.raises(KeyError, match="no column or domain 'price'"):
        mm.EmbeddingTable(BOTH, 2).vectors("price")


def test_a_grown_table_is_built_again_from_its_config() -> None:
    table = mm.EmbeddingTable(BOTH, 2, combiner="attention", unknown="last").grow(categorical("item", 9))
    config, schemas = to_config(table)
    again = from_config(config, schemas)
    again.load_state_dict(table.state_dict())
    ids = {"item": torch.tensor([[9, 1]]), "genre": torch.tensor([[3, 77]])}
    for name, vectors in table(ids).items():
        assert torch.equal(again(ids)[name], vectors)


def test_width_by_the_fourth_root() -> None:
    # 2 * 10_000 ** 0.25 = 20, up to a multiple of 8.
    assert mm.inferred_dim(10_000) == 24
    assert mm.inferred_dim(16, multiple_of=1) == 4
    assert mm.EmbeddingTable(categorical("item", 9_999)).dim == 24


def test_tables_of_a_schema_are_one_for_each_domain() -> None:
    tables = mm.EmbeddingTables(BOTH, embedding_dim={"genre": 3}, combiner="sum")
    assert sorted(tables.state_dict()) == ["tables.genre.weight", "tables.item.weight"]
    found = tables(mm.Batch({"item": RAGGED, "genre": RAGGED, "liked": IDS[:, 0]}))
    assert torch.equal(found["item"], tables.table("liked")(RAGGED))
    assert found["genre"].shape == (3, 3)
    assert torch.equal(found["liked"], tables.table("item").weight[IDS[:, 0]])
    old = tables.table("item").weight.detach().clone()
    tables.grow(categorical("item", 6))
    assert torch.equal(tables.table("item").weight[:5], old)
    again = from_config(*to_config(tables))
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in tables.state_dict().items()
    }
    with pytest.raises(KeyError, match=r"the inputs have no \['genre', 'liked'\]"):
        tables({"item": RAGGED})
    with pytest.raises(ValueError, match="embedding_dim names 'brand'"):
        mm.EmbeddingTables(BOTH, embedding_dim={"brand": 3})


@pytest.mark.parametrize("dim", [0, -1])
def test_a_width_below_one_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match=f"dim is {dim}, expected a width of at least 1, or None to infer"):
        mm.EmbeddingTable(categorical("item", 5), dim)
