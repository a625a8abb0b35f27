"""Schemas from data."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.schema import Domain, Schema, SchemaError, Tags, TagSet

TABLE = pa.table(
    {
        "session_id": ["a", "b", "c"],
        "user_id": pa.array([5, 6, None]),
        "item_id": pa.array([[3, 4, 5], [7], None]),
        "price-list": pa.array([[0.1, 0.2, 0.3], [0.4], []], pa.large_list(pa.float32())),
        "genres": pa.array([[1, 2], [], [3]], pa.list_(pa.int32())),
        "vector": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)),
        "vectors": pa.array([[[1.0, 2.0]], [[1.0, 2.0]] * 4, []], pa.list_(pa.list_(pa.float32(), 2))),
        "brand": pa.array([2, 9, 2]).dictionary_encode(),
        "weight": [0.5, 0.6, None],
        "clicked": [0, 1, 1],
        "stars": [1.5, 2.0, 3.0],
        "class": [3, 4, 5],
        "new": [True, False, True],
        "timestamp": [1_600_000_000, 1_600_000_001, 1_600_000_002],
        "when": pa.array([1, 2, 3], pa.timestamp("us")),
        "a.b": [[1, 2], [300], []],
    }
)
TARGETS = ["clicked", "stars", "class"]


def only(**columns: object) -> pa.Table:
    return pa.table(columns)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.from_arrow(TABLE, targets=TARGETS)


@pytest.mark.parametrize(
    ("name", "tags", "domain", "dims"),
    [
        ("session_id", [Tags.SESSION_ID], None, None),
        ("user_id", [Tags.USER_ID, Tags.CATEGORICAL], (0, 6), None),
        ("item_id", [Tags.ITEM_ID, Tags.CATEGORICAL, Tags.LIST, Tags.SEQUENCE], (0, 7), ((0, None), (0, 3))),
        ("price-list", [Tags.CONTINUOUS, Tags.LIST, Tags.SEQUENCE], None, ((0, None), (0, 3))),
        ("genres", [Tags.CATEGORICAL, Tags.LIST, Tags.SEQUENCE], (0, 3), ((0, None), (0, 2))),
        ("vector", [Tags.EMBEDDING], None, ((0, None), 2)),
        ("vectors", [Tags.EMBEDDING, Tags.LIST, Tags.SEQUENCE], None, ((0, None), (0, 4), 2)),
        ("brand", [Tags.CATEGORICAL], (0, 9), None),
        ("weight", [Tags.CONTINUOUS], None, None),
        ("clicked", [Tags.TARGET, Tags.BINARY_CLASSIFICATION], (0, 1), None),
        ("stars", [Tags.TARGET, Tags.REGRESSION], None, None),
        ("class", [Tags.TARGET, Tags.MULTI_CLASS_CLASSIFICATION], (3, 5), None),
        ("new", [Tags.CATEGORICAL], (0, 1), None),
        ("timestamp", [Tags.TIME], (1_600_000_000, 1_600_000_002), None),
        ("when", [Tags.TIME], None, None),
        ("a.b", [Tags.CATEGORICAL, Tags.LIST, Tags.SEQUENCE], (0, 300), ((0, None), (0, 2))),
    ],
)
def test_each_kind_of_column(
    schema: Schema, name: str, tags: list[Tags], domain: tuple[int, int] | None, dims: object
) -> None:
    column = schema[name]
    assert column.tags == TagSet(tags)
    expected = None if domain is None else {"min": domain[0], "max": domain[1], "name": name}
    assert column.properties.get("domain") == expected
    assert column.dims == dims


def test_order_types_and_ids(schema: Schema) -> None:
    assert schema.column_names == TABLE.column_names
    assert [schema[name].dtype.name for name in ("session_id", "genres", "vector", "new", "when")] == [
        "str",
        "int32",
        "float32",
        "bool",
        "datetime64[us]",
    ]
    assert schema.cardinality("item_id") == 8
    assert schema.select_by_tag(Tags.ITEM_ID).column_names == ["item_id"]


def test_targets_and_row_keys_are_no_inputs(schema: Schema) -> None:
    inputs = schema.select([Tags.CATEGORICAL, Tags.CONTINUOUS]).column_names
    assert not {"session_id", *TARGETS} & set(inputs)


@pytest.mark.parametrize("options", [{}, {"row_group_size": 1}, {"write_statistics": False}])
def test_parquet_says_the_same_as_the_table(
    tmp_path: Path, schema: Schema, options: dict[str, int | bool]
) -> None:
    pq.write_table(TABLE, tmp_path / "part.parquet", **options)
    assert Schema.from_parquet(tmp_path / "part.parquet", targets=TARGETS) == schema


def test_many_files_together_say_the_same(tmp_path: Path, schema: Schema) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "_tmp").mkdir()
    files = [tmp_path / "day" / f"{number}.parquet" for number in range(3)]
    for number, file in enumerate(files):
        pq.write_table(TABLE.slice(number, 1), file)
    (tmp_path / "_tmp" / "half.parquet").write_bytes(b"half")
    for source in (
        files,
        tmp_path,
        str(tmp_path / "day" / "*.parquet"),
        [files[0], str(tmp_path / "day" / "[12]*")],
    ):
        assert Schema.from_parquet(source, targets=TARGETS) == schema


@pytest.mark.parametrize("given", [{}, {"tags": {"film": [Tags.ITEM_ID]}}, {"item_id": "film"}])
def test_lists_beside_one_item_a_row_are_no_sequences(given: dict[str, object]) -> None:
    name = "film" if given else "item_id"
    table = only(**{name: [1, 2], "genres": [[1, 2], []], "scores": [[0.5], [0.1, 0.2]]})
    schema = Schema.from_arrow(table, **given)
    assert schema["genres"].tags == TagSet([Tags.CATEGORICAL, Tags.LIST])
    assert schema["scores"].tags == TagSet([Tags.CONTINUOUS, Tags.LIST])
    kept = Schema.from_arrow(table, **{**given, "tags": {**given.get("tags", {}), "genres": Tags.SEQUENCE}})
    assert Tags.SEQUENCE in kept["genres"].tags


def test_from_types_alone() -> None:
    schema = Schema.from_arrow(TABLE.schema, targets=TARGETS)
    assert schema["item_id"].tags == TagSet([Tags.ITEM_ID, Tags.CATEGORICAL, Tags.LIST, Tags.SEQUENCE])
    assert schema["item_id"].dims == ((0, None), (0, None))
    assert schema["vector"].dims == ((0, None), 2)
    assert schema["clicked"].tags == TagSet(Tags.TARGET)
    with pytest.raises(SchemaError, match=r"column 'item_id' .* has no int domain"):
        schema.cardinality("item_id")


@pytest.mark.skipif(not hasattr(pa, "list_view"), reason="this pyarrow has no list views")
def test_list_views_are_lists_as_others() -> None:
    # The second row comes first in memory.
    views = pa.ListViewArray.from_arrays(pa.array([2, 0, 0]), pa.array([1, 2, 0]), pa.array([7, 8, 3]))
    lists = pa.array([[3], [7, 8], []])
    assert Schema.from_arrow(pa.table({"item_id": views})) == Schema.from_arrow(pa.table({"item_id": lists}))
    assert Schema.from_arrow(pa.table({"item_id": views}))["item_id"].properties["domain"]["max"] == 8


def test_a_record_batch_is_a_small_table(schema: Schema) -> None:
    assert Schema.from_arrow(TABLE.to_batches()[0], targets=TARGETS) == schema
    with pytest.raises(TypeError, match="an Arrow table, record batch or schema is needed, not dict"):
        Schema.from_arrow({})


def test_roles_by_argument() -> None:
    table = only(track=[[1, 2]], item_id=[3], who=[4], visit=["x"], day=[7], label=[0.5], note=["text"])
    schema = Schema.from_arrow(
        table,
        item_id="track",
        user_id="who",
        session_id="visit",
        row_key="note",
        targets="label",
        tags={"day": Tags.CONTEXT, "label": ["mine"], "track": [Tags.SEQUENCE]},
    )
    assert schema.select(Tags.ITEM_ID).column_names == ["track"]
    assert schema["item_id"].tags == TagSet(Tags.CATEGORICAL)
    assert schema["who"].tags == TagSet([Tags.USER_ID, Tags.CATEGORICAL])
    assert schema["visit"].tags == TagSet(Tags.SESSION_ID)
    assert schema["note"].tags == TagSet(Tags.ID)
    assert schema["day"].tags == TagSet([Tags.CONTEXT, Tags.CATEGORICAL])
    assert schema["label"].tags == TagSet(["mine", Tags.TARGET, Tags.REGRESSION])


def test_usual_names_of_lists() -> None:
    schema = Schema.from_arrow(pa.table({"item_id-list": [[1]], "user_id_list": [[2]]}))
    assert schema.select(Tags.ITEM_ID).column_names == ["item_id-list"]
    assert schema.select(Tags.USER_ID).column_names == ["user_id_list"]


def test_tags_say_what_numbers_are() -> None:
    table = only(delta=[-5, 5], sent=[2**40, 2**41], hashed=[2**60, 1], rating=[-1, 1])
    tags = {"delta": Tags.CONTINUOUS, "sent": [Tags.TIME], "rating": ["target"]}
    schema = Schema.from_arrow(table, tags=tags, row_key=["hashed"])
    assert schema["delta"].tags == TagSet(Tags.CONTINUOUS)
    assert schema["delta"].int_domain == Domain(-5, 5, "delta")
    assert schema["sent"].tags == TagSet(Tags.TIME)
    assert schema["hashed"].tags == TagSet(Tags.ID)
    assert schema["rating"].tags == TagSet([Tags.TARGET, Tags.REGRESSION])


def test_a_given_task_is_kept_and_bools_are_binary() -> None:
    schema = Schema.from_arrow(only(a=[0, 1], b=[True] * 2), targets=["a", "b"], tags={"a": Tags.REGRESSION})
    assert schema["a"].tags == TagSet([Tags.TARGET, Tags.REGRESSION])
    assert schema["b"].tags == TagSet([Tags.TARGET, Tags.BINARY_CLASSIFICATION])


def test_the_index_of_pandas_is_left_out() -> None:
    assert Schema.from_arrow(only(__index_level_0__=["x"], a=[1])).column_names == ["a"]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (only(title=["x"]), "column 'title' holds strings, .* row_key='title' if it only names rows"),
        (only(title=[["x"]]), "column 'title' holds strings"),
        (only(title=pa.array(["x"]).dictionary_encode()), "column 'title' holds strings"),
        (only(item_id=["x"]), "column 'item_id' holds strings"),
        (only(a=[{"b": 1}]), "column 'a' is of type struct<b: int64>, expected whole .* leave it out"),
        (only(a=[None]), "column 'a' is of type null"),
        (only(a=pa.array([None], pa.int64())), "column 'a' has no value in any row"),
        (only(a=[-1, 2]), r"column 'a' has the negative value -1, .* tags=\{'a': \[Tags.CONTINUOUS\]\}"),
        (only(a=[10**12]), "column 'a' has values up to 1000000000000, too many .*Tags.TIME"),
        (
            only(item_id=[1.0, 2.0]),
            "column 'item_id' holds floating-point numbers, not ids: convert it to whole",
        ),
        (only(a=pa.array([], pa.int64())), "the table has no rows .* give its pa.Schema"),
        (pa.table([[1], [2]], names=["a", "a"]), "the data has two columns of one name"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, table: pa.Table, text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        Schema.from_arrow(table)


@pytest.mark.parametrize("role", ["item_id", "user_id", "session_id", "row_key", "targets"])
def test_a_role_for_a_column_that_is_not_there(role: str) -> None:
    with pytest.raises(
        SchemaError, match=r"there is no column 'x' in the data, only \['a'\]: check the name"
    ):
        Schema.from_arrow(only(a=[1]), **{role: "x"})  # type: ignore[arg-type]


def test_tags_that_collide_name_the_column() -> None:
    with pytest.raises(SchemaError, match=r"column 'a': the tags .* cannot be on one column together"):
        Schema.from_arrow(only(a=[1]), tags={"a": [Tags.CATEGORICAL, Tags.CONTINUOUS]})
