import copy
import json

import pytest
import torch
from torch import nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.router import RouterBlock
from merlin_models_torch.blocks.select import SelectKeys
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.serialize import from_config, to_config

SCHEMA = Schema(
    [
        ColumnSchema("age", tags=[Tags.CONTINUOUS, Tags.USER], dtype="float32"),
        ColumnSchema("income", tags=[Tags.CONTINUOUS, Tags.USER], dtype="float32"),
        ColumnSchema("price", tags=[Tags.CONTINUOUS, Tags.ITEM], dtype="float32"),
        ColumnSchema("brand", tags=[Tags.CATEGORICAL, Tags.ITEM], dtype="int64"),
    ]
)
BATCH = Batch(
    {
        "age": torch.tensor([1.0, 2.0]),
        "income": torch.tensor([10.0, 20.0]),
        "price": torch.tensor([100.0, 200.0]),
        "brand": torch.tensor([3, 4]),
    }
)


class Total(nn.Module):
    """The sum of the columns."""

    def forward(self, inputs):
        return sum(inputs.values())


class Scale(nn.Module):
    """Columns apart, each times a factor."""

    def __init__(self, factor=1000.0):
        super().__init__()
        self.factor = factor

    def forward(self, inputs):
        return {name: value * self.factor for name, value in inputs.items()}


def values(outputs):
    return {name: value.tolist() for name, value in outputs.items()}


@pytest.mark.parametrize(
    ("selection", "name", "total"),
    [
        (Tags.USER, "user", [11, 22]),
        ("price", "price", [100, 200]),
        (lambda c: c.name.startswith("p") or c.name == "age", "age_price", [101, 202]),
        (SCHEMA["income"], "income", [10, 20]),
        (Schema(["age", "price"]), "age_price", [101, 202]),
        ([Tags.USER, "price"], "age_income_price", [111, 222]),
        ("*", "age_income_price_brand", [114, 226]),
    ],
)
def test_a_route_gets_the_columns_that_are_meant(selection, name, total):
    assert values(RouterBlock(SCHEMA).add_route(selection, Total())(BATCH)) == {name: total}


def test_without_a_module_columns_come_out_as_they_are():
    router = RouterBlock(SCHEMA).add_route(Tags.USER).add_route(Tags.ITEM, Total(), name="goods")
    assert values(router(BATCH)) == {"age": [1, 2], "income": [10, 20], "goods": [103, 204]}
    assert values(router(dict(BATCH.features))) == values(router(BATCH))
    assert router.input_schema.column_names == ["age", "income", "price", "brand"]


def test_a_module_that_asks_for_it_gets_the_batch():
    class Rows(nn.Module):
        def forward(self, inputs, batch):
            return inputs["age"] + batch["price"]

    assert values(RouterBlock(SCHEMA).add_route("age", Rows())(BATCH)) == {"age": [101, 202]}
    assert values(Block(RouterBlock(SCHEMA).add_route("age", Rows()))(BATCH)) == {"age": [101, 202]}


def test_each_column_has_a_module_of_its_own():
    torch.manual_seed(0)
    router = RouterBlock(SCHEMA).add_route_for_each(Tags.USER, MLPBlock([4], in_features=1))
    assert list(router.keys()) == ["age", "income"]
    assert not torch.equal(*(m.weight for m in router.find(nn.Linear)))
    outputs = router(BATCH)
    mlp = router["income"][1]
    torch.testing.assert_close(outputs["income"], mlp(torch.tensor([[10.0], [20.0]])))
    shared = RouterBlock(SCHEMA).add_route_for_each(Tags.USER, MLPBlock([4], in_features=1), shared=True)
    assert shared["age"][1] is shared["income"][1]
    made = RouterBlock(SCHEMA).add_route_for_each(Tags.USER, lambda column: Scale(len(column.name)))
    assert values(made(BATCH)) == {"age": [3, 6], "income": [60, 120]}


def test_reroute_works_on_what_came_out_with_the_first_level_run_once():
    calls = []

    class Counted(Scale):
        def forward(self, inputs):
            calls.append(sorted(inputs))
            return super().forward(inputs)

    router = RouterBlock(SCHEMA).add_route(Tags.CONTINUOUS, Counted()).add_route(Tags.CATEGORICAL)
    towers = router.reroute().add_route(Tags.USER, Total()).add_route(Tags.ITEM, Total())
    assert values(towers(BATCH)) == {"user": [11000, 22000], "item": [100003, 200004]}
    assert calls == [["age", "income", "price"]]
    assert towers.input_schema.column_names == SCHEMA.column_names


def test_reroute_takes_what_was_joined_by_its_common_tags():
    router = RouterBlock(SCHEMA).add_route(Tags.USER, Total()).add_route("price", Total(), name="cost")
    after = router.reroute().add_route(Tags.USER, Total(), name="who").add_route(Tags.CONTINUOUS, Total())
    assert values(after(BATCH)) == {"who": [11, 22], "continuous": [111, 222]}
    assert router.output_schema.select(Tags.CONTINUOUS).column_names == [
        "age",
        "income",
        "user",
        "price",
        "cost",
    ]


def test_reroute_refuses_a_part_of_what_was_joined():
    router = RouterBlock(SCHEMA).add_route(Tags.CONTINUOUS, Total())
    towers = router.reroute().add_route(Tags.USER, Total())
    with pytest.raises(KeyError, match=r"inputs have no \['age', 'income'\], only \['continuous'\]"):
        towers(BATCH)


def test_no_match_and_duplicates_are_errors_before_anything_runs():
    router = RouterBlock(SCHEMA).add_route(Tags.USER)
    with pytest.raises(
        ValueError, match=r"no column fits the selection .*TIME.*'brand': \['Tags.CATEGORICAL'"
    ):
        router.add_route(Tags.TIME)
    with pytest.raises(ValueError, match="there is no column 'agee' in the schema"):
        router.add_route("agee")
    with pytest.raises(ValueError, match=r"already has a route 'user' for \['age', 'income'\]"):
        router.add_route(Tags.USER, Total())
    with pytest.raises(ValueError, match="already has a route 'age': leave this column out"):
        router.add_route("age").add_route_for_each(Tags.USER, Total())
    assert list(router.keys()) == ["user", "age"], "a refused call adds nothing"
    assert router.add_route(Tags.TIME, required=False) is router
    assert router.add_route_for_each(Tags.TIME, Total(), required=False) is router
    with pytest.raises(TypeError, match="routes the columns of a schema or of a router, not of dict"):
        RouterBlock({})


def test_the_same_name_twice_in_the_outputs_is_an_error():
    router = RouterBlock(SCHEMA).add_route(Tags.USER).add_route("age")
    with pytest.raises(ValueError, match="two branches give an output named 'age'"):
        router(BATCH)


def test_a_missing_column_is_named():
    router = RouterBlock(SCHEMA).add_route(Tags.USER, Total())
    with pytest.raises(KeyError, match=r"inputs have no \['income'\], only \['age'\]"):
        router(BATCH.select(["age"]))
    with pytest.raises(TypeError, match="from a batch or a dict, not from Tensor"):
        SelectKeys(SCHEMA)(torch.ones(2))


def test_selection_of_selected_keys():
    assert SelectKeys(SCHEMA).select(Tags.ITEM).schema.column_names == ["price", "brand"]


def test_config_and_deepcopy_keep_routes_and_sharing():
    torch.manual_seed(0)
    first = RouterBlock(SCHEMA).add_route_for_each(Tags.CONTINUOUS, MLPBlock([3], in_features=1), shared=True)
    router = first.reroute().add_route(Tags.USER, MLPBlock([2]), name="who")
    want = router(BATCH)["who"]
    config, schemas = to_config(router)
    again = from_config(json.loads(json.dumps(config)), schemas)
    again(BATCH)
    again.load_state_dict(router.state_dict())
    torch.testing.assert_close(again(BATCH)["who"], want, rtol=0, atol=0)
    assert again.source["age"][1] is again.source["price"][1]
    torch.testing.assert_close(copy.deepcopy(router)(BATCH)["who"], want, rtol=0, atol=0)


def test_columns_are_selected_by_names_as_by_their_schema() -> None:
    columns = {name: torch.full((2,), float(number)) for number, name in enumerate("abc")}
    for given in (["c", "a"], Schema(["c", "a"])):
        assert list(SelectKeys(given)(columns)) == ["c", "a"]
    assert list(SelectKeys("b")(columns)) == ["b"]
