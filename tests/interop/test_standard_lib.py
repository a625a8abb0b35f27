"""merlin_standard_lib and the drop-in's data beside the real merlin-core."""

import importlib.metadata
import warnings

import pytest

try:
    importlib.metadata.version("merlin-core")
except importlib.metadata.PackageNotFoundError:
    pytest.skip("merlin-core is not installed", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # merlin-core warns of every framework that is absent
    import merlin.schema as theirs
    from merlin.schema import Tags
    from merlin_standard_lib import ColumnSchema, Schema, categorical_cardinalities

pytestmark = pytest.mark.filterwarnings("ignore")


def test_their_tags_and_columns():
    schema = Schema(
        [
            ColumnSchema.create_categorical("item", 9, value_count=(1, 5), tags=[Tags.ITEM_ID]),
            ColumnSchema("x"),
        ]
    )
    assert schema.select_by_tag(Tags.ITEM_ID).column_names == ["item"]
    assert categorical_cardinalities(schema) == {"item": 10}
    real = theirs.ColumnSchema(
        "item",
        tags=[Tags.ITEM_ID, Tags.CATEGORICAL],
        dtype="int64",
        properties={"domain": {"name": "item", "min": 0, "max": 9}},
        dims=(None, (1, 5)),
    )
    assert Schema([real])["item"] == schema["item"]


def test_data_sets_give_their_schema_and_a_model_takes_it():
    from transformers4rec import torch as tr

    data = tr.data.music_streaming_testing_data
    schema = data.merlin_schema
    assert isinstance(schema, theirs.Schema)
    assert schema["item_id"].int_domain.max == 10_000
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema.select_by_tag(Tags.LIST), max_sequence_length=20, masking="mlm", d_output=8
    )
    output = inputs(data.torch_synthetic_data(num_rows=3), training=True)
    assert output.shape == (3, 20, 8)
    assert inputs.item_id == "item_id"
