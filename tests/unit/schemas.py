"""Small schemas that tests share."""

from merlin_models_torch.schema import ColumnSchema, Schema, Tags

ITEMS = 30


def categorical(
    name: str, top: int, *tags: Tags, domain: str | None = None, lists: bool = True
) -> ColumnSchema:
    """A categorical column with ids from 0 (padding) to ``top``."""
    properties = {"domain": {"min": 0, "max": top, "name": domain or name}}
    return ColumnSchema(
        name,
        tags=[Tags.CATEGORICAL, *tags],
        dtype="int64",
        is_list=lists,
        is_ragged=lists,
        properties=properties,
    )


def continuous(name: str, *tags: Tags, lists: bool = True) -> ColumnSchema:
    """A continuous column."""
    return ColumnSchema(name, tags=[Tags.CONTINUOUS, *tags], dtype="float32", is_list=lists, is_ragged=lists)


def session_schema() -> Schema:
    """Items, their categories, ages and prices by position, and a country for the session."""
    return Schema(
        [
            categorical("item_id", ITEMS, Tags.ITEM_ID),
            categorical("category", 7, Tags.ITEM),
            continuous("age", Tags.ITEM),
            continuous("price", Tags.ITEM),
            categorical("country", 4, Tags.USER, lists=False),
        ]
    )
