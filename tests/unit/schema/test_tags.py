"""Tags: normalised, compound ones in parts, none that collide."""

import json
from enum import Enum

import pytest

from merlin_models_torch.schema import Tags, TagSet


def test_compound_tags_are_taken_apart() -> None:
    assert list(TagSet([Tags.ITEM_ID, Tags.TEXT_TOKENIZED])) == [
        Tags.ITEM,
        Tags.ID,
        Tags.TEXT,
        Tags.TOKENIZED,
    ]


def test_compound_classification_tags_stay_whole() -> None:
    assert list(TagSet(Tags.BINARY_CLASSIFICATION)) == [Tags.BINARY_CLASSIFICATION]


def test_known_names_in_any_case_are_tags_and_others_stay() -> None:
    assert list(TagSet(["USER_ID", "Categorical", "Mine"])) == [Tags.USER, Tags.ID, Tags.CATEGORICAL, "Mine"]


class _Theirs(Enum):
    USER_ID = "user_id"


def test_tags_of_another_library_count_by_value() -> None:
    assert list(TagSet(_Theirs.USER_ID)) == [Tags.USER, Tags.ID]  # type: ignore[arg-type]
    assert _Theirs.USER_ID in TagSet([Tags.USER_ID])


def test_one_tag_needs_no_list() -> None:
    assert TagSet("item") == TagSet([Tags.ITEM])
    assert TagSet(Tags.ITEM) == ["item"]


def test_equality_ignores_order_and_repetition() -> None:
    assert TagSet(["item", "a", "item"]) == TagSet(["a", "item"])
    assert hash(TagSet(["item", "a"])) == hash(TagSet(["a", "item"]))
    assert TagSet(["item"]) != TagSet(["user"])
    assert TagSet() != 3


def test_contains_understands_compound_tags_and_text() -> None:
    tags = TagSet([Tags.ITEM_ID, "mine"])
    assert Tags.ITEM_ID in tags
    assert "item" in tags
    assert "mine" in tags
    assert Tags.USER_ID not in tags
    assert 3 not in tags


def test_override_drops_what_the_new_tags_exclude() -> None:
    assert TagSet([Tags.ITEM_ID]).override(Tags.CONTINUOUS) == TagSet([Tags.ITEM, Tags.CONTINUOUS])
    assert TagSet(["categorical", "mine"]).override("embedding") == TagSet(["embedding", "mine"])


def test_plus_and_minus() -> None:
    assert TagSet("item") + "list" == TagSet(["item", "list"])
    assert TagSet([Tags.ITEM_ID, "list"]) - Tags.ITEM_ID == TagSet("list")
    assert len(TagSet() + TagSet(["a", "b"])) == 2


@pytest.mark.parametrize(
    "pair", [("categorical", "continuous"), ("id", "embedding"), ("continuous", "item_id")]
)
def test_colliding_tags_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"cannot be on one column together .*: leave one of them out"):
        TagSet(pair)
    with pytest.raises(ValueError, match="cannot be on one column together"):
        TagSet(pair[0]) + pair[1]


def test_what_is_no_tag_is_refused() -> None:
    with pytest.raises(TypeError, match="a tag is a string or one of Tags, not int 3"):
        TagSet([3])  # type: ignore[list-item]


def test_tags_are_text_in_json_and_named_in_messages() -> None:
    assert json.dumps([Tags.ITEM_ID]) == '["item_id"]'
    assert f"{Tags.ITEM_ID}" == str(Tags.ITEM_ID) == "Tags.ITEM_ID"
    assert repr(TagSet(["item", "mine"])) == "TagSet(['item', 'mine'])"
