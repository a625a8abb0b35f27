"""Parts of models by columns, and the columns that modules take, read, give and predict."""

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.schema import ColumnSchema, Schema, SchemaError, Tags
from merlin_models_torch.selection import (
    extract,
    feature_schema,
    input_schema,
    output_schema,
    select,
    target_schema,
)
from merlin_models_torch.serialize import from_config, to_config
from tests.unit.schemas import categorical, continuous, session_schema
from tests.unit.sessions import session_batch, session_model


def towers() -> mm.ParallelBlock:
    """A user tower and an item tower over scalar columns."""
    torch.manual_seed(0)
    user = Schema(
        [categorical("user_id", 9, Tags.USER_ID, lists=False), continuous("age", Tags.USER, lists=False)]
    )
    item = Schema([categorical("item_id", 20, Tags.ITEM_ID, lists=False)])
    block = mm.ParallelBlock(
        {
            "user": mm.Block(mm.TabularInputBlock(user, embedding_dim=4), mm.MLPBlock([3])),
            "item": mm.Block(mm.TabularInputBlock(item, embedding_dim=4), mm.MLPBlock([3])),
        }
    )
    block(tower_batch())
    return block.eval()


def tower_batch() -> mm.Batch:
    return mm.Batch(
        {
            "user_id": torch.tensor([1, 5, 9]),
            "age": torch.tensor([0.1, 0.2, 0.3]),
            "item_id": torch.tensor([2, 20, 0]),
        }
    )


def router() -> mm.RouterBlock:
    schema = Schema([continuous(name, tag, lists=False) for name, tag in OWNERS.items()])
    return mm.RouterBlock(schema).add_route(Tags.USER, Joined()).add_route(Tags.ITEM, Joined())


OWNERS = {"a": Tags.USER, "b": Tags.USER, "c": Tags.ITEM}


class Joined(nn.Module):
    """The columns side by side."""

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.stack(list(inputs.values()), -1)


def columns(*names: str) -> mm.Batch:
    return mm.Batch({name: torch.full((2,), float(ord(name))) for name in names})


class TestSelect:
    @pytest.mark.parametrize(
        "selection",
        [
            Tags.USER,
            ["user_id", "age"],
            lambda column: Tags.USER in column.tags,
            Schema(["age", "user_id"]),
            [Tags.USER_ID, "age"],
        ],
        ids=["tag", "names", "function", "schema", "mixed"],
    )
    def test_a_tower_by_any_kind_of_selection(self, selection: object) -> None:
        model = towers()
        part = select(model, selection)  # type: ignore[arg-type]
        batch = tower_batch()
        answers = part(batch.select(["user_id", "age"]))
        assert list(answers) == ["user"]
        assert torch.equal(answers["user"], model(batch)["user"])

    def test_everything_is_the_module_itself(self) -> None:
        model = towers()
        assert select(model, "*") is model

    def test_weights_are_shared_unless_copied(self) -> None:
        model = towers()
        shared, own = select(model, Tags.USER), select(model, Tags.USER, copy=True)
        before = own(tower_batch())["user"]
        with torch.no_grad():
            for parameter in model["user"].parameters():
                parameter.add_(1.0)
        after = model(tower_batch())["user"]
        assert not torch.equal(before, after)
        assert torch.equal(shared(tower_batch())["user"], after)
        assert torch.equal(own(tower_batch())["user"], before)

    def test_a_tower_ends_before_what_joins_other_columns(self) -> None:
        model = mm.Block(towers(), Concat(), mm.MLPBlock([2]))
        model(tower_batch())
        part = select(model, Tags.ITEM)
        assert torch.equal(part(tower_batch())["item"], model[0](tower_batch())["item"])  # type: ignore[operator]

    def test_a_route_and_a_part_of_one(self) -> None:
        part = select(router(), Tags.USER)
        assert isinstance(part, mm.RouterBlock)
        assert part.schema.column_names == ["a", "b"]
        assert part(columns("a", "b"))["user"].tolist() == [[97.0, 98.0]] * 2

    def test_a_router_of_a_router(self) -> None:
        schema = Schema([continuous(name, tag, lists=False) for name, tag in OWNERS.items()])
        second = mm.RouterBlock(schema).add_route("*").reroute()
        second.add_route(Tags.USER, Joined()).add_route(Tags.ITEM, Joined())
        part = select(second, Tags.ITEM)
        assert part(columns("c"))["item"].tolist() == [[99.0]] * 2
        assert input_schema(part).column_names == ["c"]
        assert extract(second, Tags.ITEM)(columns("c")).tolist() == [[99.0]] * 2

    def test_nothing_that_fits_is_an_error_with_the_tags(self) -> None:
        with pytest.raises(SchemaError, match=r"no column fits .*SESSION.*'age': \['continuous', 'user'\]"):
            select(towers(), Tags.SESSION)
        with pytest.raises(SchemaError, match="no column 'film'"):
            select(towers(), "film")

    def test_what_cannot_be_divided_is_named(self) -> None:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.left, self.right = towers(), towers()

        with pytest.raises(SchemaError, match=r"Two joins \['user_id'\] with \['age', 'item_id'\]"):
            select(Two(), "user_id")


class Concat(nn.Module):
    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([inputs[name] for name in sorted(inputs)], -1)


class TestInputs:
    def test_a_smaller_input_block_gives_its_share_of_the_vector(self) -> None:
        torch.manual_seed(0)
        whole = mm.TabularInputBlock(
            session_schema(), embedding_dim={"item_id": 4, "category": 3, "country": 2}
        )
        batch = whole.prepare(session_batch(4))[0]
        # In the order of names: age, category, country, item_id, price.
        vectors = whole(batch).split([1, 3, 2, 4, 1], -1)
        part = select(whole, ["category", "item_id"])
        assert isinstance(part, mm.TabularInputBlock)
        assert part.schema.column_names == ["item_id", "category"]
        assert torch.equal(part(part.prepare(batch)[0]), torch.cat([vectors[1], vectors[3]], -1))
        assert part.tables["item_id"] is whole.tables["item_id"]
        context = select(whole, Tags.USER)
        assert torch.equal(context(context.prepare(batch)[0]), vectors[2][:, 0])

    def test_it_is_built_again_from_its_config(self) -> None:
        whole = mm.TabularInputBlock(
            Schema(
                [
                    categorical("item_id", 9, Tags.ITEM_ID, domain="item"),
                    categorical("last", 4, domain="item"),
                ]
            ),
            embedding_dim={"item": 3},
            projection=5,
        )
        part = select(whole, "last")
        again = from_config(*to_config(part))
        again.load_state_dict(part.state_dict())
        ids = mm.Batch({"last": torch.tensor([[1, 4]])})
        assert torch.equal(again(ids), part(ids))
        assert part(ids).shape == (1, 2, 3)  # the projection over all columns is not in it

    def test_options_of_columns_go_with_them(self) -> None:
        torch.manual_seed(0)
        crosses = {"pair": mm.HashedCross(["item_id", "category"], bins=20)}
        own = mm.EmbeddingTable(session_schema()["category"], 3)
        whole = mm.TabularInputBlock(
            session_schema(),
            embedding_dim="infer",
            embeddings={"category": own},
            crosses=crosses,
            layer_norm=True,
        )
        batch = whole.prepare(session_batch(4))[0]
        vectors = whole.vectors(batch)
        part = select(whole, ["item_id", "category"])
        assert isinstance(part, mm.TabularInputBlock)
        found = part.vectors(part.prepare(batch)[0])
        assert sorted(found) == ["category", "item_id", "pair"]
        assert all(torch.equal(found[name], vectors[name]) for name in found)
        assert not any(parameter.is_meta for parameter in part.parameters())
        again = from_config(*to_config(part))
        again(again.prepare(batch)[0])
        again.load_state_dict(part.state_dict())
        assert extract(whole, "category") is own
        assert "pair" not in select(whole, ["item_id", "age"]).tables  # type: ignore[operator]

    def test_context_that_joins_late_is_found_where_it_joins(self) -> None:
        torch.manual_seed(0)
        context = mm.TabularInputBlock(session_schema().select(Tags.USER), embedding_dim=2)
        body = mm.Block(
            mm.TabularInputBlock(session_schema(), embedding_dim=4, context="late"), mm.LateFusion(context)
        )
        assert select(body, Tags.USER) is context

    def test_projected_numbers_stay_together(self) -> None:
        whole = mm.TabularInputBlock(session_schema(), embedding_dim=2, continuous_projection=3)
        batch = whole.prepare(session_batch(4))[0]
        part = select(whole, Tags.CONTINUOUS)
        # After category, "continuous_projection" comes before country in the order of names.
        assert torch.equal(part(part.prepare(batch)[0]), whole(batch)[..., 2:5])
        with pytest.raises(
            SchemaError, match=r"\['age', 'price'\] are projected together, and only \['age'\]"
        ):
            select(whole, ["age", "item_id"])

    def test_extract_gives_the_table_of_a_column(self) -> None:
        whole = mm.TabularInputBlock(session_schema(), embedding_dim=2)
        assert extract(whole, Tags.ITEM_ID) is whole.item_table
        own = extract(whole, "item_id", copy=True)
        assert own is not whole.item_table
        assert torch.equal(own.weight, whole.item_table.weight)  # type: ignore[arg-type]

    def test_extract_gives_a_bare_tower(self) -> None:
        model = towers()
        assert extract(model, Tags.USER) is model["user"]


class TestModel:
    def test_the_part_before_the_output(self) -> None:
        model = session_model().eval()
        batch = session_batch(5)
        part = model.select("*")
        planned = model.inputs.for_prediction(batch)
        assert torch.equal(part(batch), model.body(planned))
        assert torch.equal(model.output(part(batch), planned), model(batch))
        assert {id(p) for p in part.parameters()} == {id(p) for p in model.body.parameters()}

    def test_item_embeddings_with_their_rows(self) -> None:
        model = session_model()
        table = model.extract(Tags.ITEM_ID)
        assert isinstance(table, nn.Embedding)
        assert table.weight is model.inputs.item_table.weight
        assert len(table.weight) == model.schema.cardinality("item_id")

    def test_a_part_takes_batches_as_a_loader_gives_them(self) -> None:
        model = session_model().eval()
        batch = session_batch(5)
        ids = batch.padded("item_id")
        part = model.select(["item_id", "category"])
        expected = torch.cat(
            [model.inputs.tables["category"](batch.padded("category")), model.inputs.item_table(ids)], -1
        )
        assert torch.equal(part(batch), expected)
        assert part(session_batch(5).select(["item_id", "category"])).shape == expected.shape

    def test_a_copy_has_weights_of_its_own(self) -> None:
        model = session_model()
        own = model.select("*", copy=True)
        assert not {id(p) for p in own.parameters()} & {id(p) for p in model.parameters()}


class TestSchemas:
    def test_of_a_model(self) -> None:
        model = session_model()
        names = session_schema().column_names
        assert sorted(input_schema(model).column_names) == sorted(names)
        assert feature_schema(model) == input_schema(model) == input_schema(model.body)
        target = target_schema(model)
        assert target.column_names == ["item_id"]
        assert Tags.TARGET in target["item_id"].tags
        assert target["item_id"].int_domain == model.schema["item_id"].int_domain
        out = output_schema(model)["output"]
        assert [dim.max for dim in out.shape.dims or ()][1:] == [model.schema.cardinality("item_id")]

    def test_of_an_output_with_a_label(self) -> None:
        assert target_schema(mm.RegressionOutput("stars")) == Schema(
            [ColumnSchema("stars", tags=[Tags.TARGET])]
        )

        class Own(nn.Module):
            target_schema = Schema([ColumnSchema("clicked", tags=[Tags.BINARY], dtype="int64")])

        both = target_schema(nn.ModuleList([Own(), mm.BinaryOutput("bought")]))
        assert both.column_names == ["clicked", "bought"]
        assert both["clicked"].tags == {Tags.BINARY, Tags.TARGET}
        assert target_schema(mm.MLPBlock([2])) == Schema()

    def test_sizes_that_follow_the_sequence_stay_open(self) -> None:
        model = session_model()
        out = output_schema(model.body)["output"]
        dims = out.shape.dims or ()
        assert (dims[1].is_fixed, dims[2].max) == (False, 16)
        assert out.is_ragged
        assert Tags.EMBEDDING in out.tags
        assert out.dtype.name == "float32"

    def test_of_towers(self) -> None:
        out = output_schema(towers())
        assert {column.name: [dim.max for dim in (column.shape.dims or ())[1:]] for column in out} == {
            "user": [3],
            "item": [3],
        }
        assert Tags.USER in output_schema(extract(towers(), Tags.USER))["output"].tags
        assert Tags.USER not in out["user"].tags

    def test_columns_that_come_out_as_they_went_in_keep_their_schema(self) -> None:
        schema = session_schema()
        block = mm.RouterBlock(schema).add_route(Tags.CATEGORICAL)
        assert output_schema(block) == schema.select(Tags.CATEGORICAL)

    def test_of_blocks_that_take_tensors(self) -> None:
        given = Schema([ColumnSchema("output", dtype="float32", dims=(None, None, 5))])
        out = output_schema(mm.MLPBlock([7]), given)["output"]
        assert [dim.max for dim in out.shape.dims or ()][1:] == [None, 7]
        assert input_schema(mm.MLPBlock([7]), given) == given
        with pytest.raises(
            SchemaError, match="MLPBlock takes tensors rather than columns by name: pass inputs="
        ):
            output_schema(mm.MLPBlock([7]))
        several = Schema([ColumnSchema(name, dtype="float32", dims=(None, 2)) for name in "ab"])
        assert [d.max for d in output_schema(Concat(), several)["output"].shape.dims or ()][1:] == [4]

    def test_tracing_changes_nothing(self) -> None:
        lazy = mm.Block(mm.TabularInputBlock(session_schema(), embedding_dim=2), mm.MLPBlock([3]))
        state = torch.get_rng_state()
        output_schema(lazy)
        assert torch.equal(torch.get_rng_state(), state)
        assert any(isinstance(p, nn.parameter.UninitializedParameter) for p in lazy.parameters())
        assert lazy.training

    def test_later_modules_that_read_the_batch_count_as_features(self) -> None:
        class Late(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.context = mm.TabularInputBlock(session_schema().select(Tags.USER), embedding_dim=2)

            def forward(self, hidden: torch.Tensor, batch: mm.Batch) -> torch.Tensor:
                context = self.context(batch)[:, None].expand(-1, hidden.shape[1], -1)
                return torch.cat([hidden, context], -1)

        items = mm.TabularInputBlock(session_schema().select(Tags.ITEM_ID), embedding_dim=4)
        body = mm.Block(items, Late())
        assert input_schema(body).column_names == ["item_id"]
        assert feature_schema(body).column_names == ["item_id", "country"]
        out = output_schema(body)["output"]
        assert (out.shape.dims or ())[-1].max == 6
        assert select(body, Tags.ITEM_ID) is items
        assert select(body, Tags.USER).schema.column_names == ["country"]  # type: ignore[union-attr]
