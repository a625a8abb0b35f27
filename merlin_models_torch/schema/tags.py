"""What a column is: the tags of a schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum


class Tags(str, Enum):
    """The standard tags. A column may also carry tags of your own, as plain strings.

    Example:
        >>> mm.Tags.ITEM_ID.value
        'item_id'
        >>> mm.Tags("user_id") is mm.Tags.USER_ID
        True
    """

    CATEGORICAL = "categorical"
    CONTINUOUS = "continuous"
    LIST = "list"
    SEQUENCE = "sequence"
    TEXT = "text"
    TOKENIZED = "tokenized"
    TIME = "time"
    EMBEDDING = "embedding"

    ID = "id"
    USER = "user"
    ITEM = "item"
    SESSION = "session"
    CONTEXT = "context"

    TARGET = "target"
    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    BINARY = "binary"
    MULTI_CLASS = "multi_class"

    USER_ID = "user_id"
    ITEM_ID = "item_id"
    SESSION_ID = "session_id"
    TEXT_TOKENIZED = "text_tokenized"
    BINARY_CLASSIFICATION = "binary_classification"
    MULTI_CLASS_CLASSIFICATION = "multi_class_classification"

    def __str__(self) -> str:
        """``Tags.ITEM``, on every version of Python."""
        return f"{type(self).__name__}.{self.name}"


COMPOUND: dict[Tags, tuple[Tags, ...]] = {
    Tags.USER_ID: (Tags.USER, Tags.ID),
    Tags.ITEM_ID: (Tags.ITEM, Tags.ID),
    Tags.SESSION_ID: (Tags.SESSION, Tags.ID),
    Tags.TEXT_TOKENIZED: (Tags.TEXT, Tags.TOKENIZED),
}
"""Tags that stand for several: a column never carries them, only their parts."""

COLLIDES: dict[Tags, tuple[Tags, ...]] = {
    Tags.CATEGORICAL: (Tags.CONTINUOUS, Tags.EMBEDDING),
    Tags.CONTINUOUS: (Tags.CATEGORICAL, Tags.EMBEDDING, Tags.ID),
    Tags.EMBEDDING: (Tags.CATEGORICAL, Tags.CONTINUOUS, Tags.ID),
    Tags.ID: (Tags.CONTINUOUS, Tags.EMBEDDING),
}
"""Tags that no column can have together."""

Tag = Tags | str
"""One tag, standard or your own."""


def parts(tag: Tag | Enum) -> tuple[Tag, ...]:
    """The tag, or what it stands for if it is compound; a known name in any case is its :class:`Tags`.

    Members of another enum of texts, such as the tags of merlin-core, count as their text.
    """
    if isinstance(tag, Enum) and not isinstance(tag, Tags):
        tag = tag.value
    if isinstance(tag, str) and not isinstance(tag, Tags):
        try:
            tag = Tags(tag.lower())
        except ValueError:
            return (tag,)
    if not isinstance(tag, Tags):
        raise TypeError(f"a tag is a string or one of Tags, not {type(tag).__name__} {tag!r}")
    return COMPOUND.get(tag, (tag,))


class TagSet:
    """Tags of one column: normalised, each once, in order, and none that collide.

    Args:
        tags: a tag or several; compound ones are taken apart (``ITEM_ID`` is ``ITEM`` and ``ID``).

    Raises:
        ValueError: if two of them cannot be together (``CATEGORICAL`` and ``CONTINUOUS``).

    Example:
        >>> tags = mm.schema.TagSet([mm.Tags.ITEM_ID, "mine"])
        >>> mm.Tags.ITEM in tags, mm.Tags.ID in tags, "mine" in tags
        (True, True, True)
    """

    __slots__ = ("_tags",)

    def __init__(self, tags: Tag | Iterable[Tag] | TagSet | None = None) -> None:
        self._tags = _normalised(tags)
        wrong = _collisions(self._tags, self._tags)
        if wrong:
            names = ", ".join(tag.value for tag in wrong)
            raise ValueError(
                f"the tags {[_text(tag) for tag in self._tags]} cannot be on one column together "
                f"({names} exclude each other): leave one of them out"
            )

    def override(self, tags: Tag | Iterable[Tag] | TagSet) -> TagSet:
        """These tags and the given ones, without those of these that the given ones exclude."""
        new = TagSet(tags)
        wrong = _collisions(self._tags, new._tags)
        return TagSet([*(tag for tag in self._tags if tag not in wrong), *new])

    def __iter__(self) -> Iterator[Tag]:
        return iter(self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, (str, Enum)) and all(part in self._tags for part in parts(tag))

    def __add__(self, tags: Tag | Iterable[Tag] | TagSet) -> TagSet:
        return TagSet([*self, *TagSet(tags)])

    def __sub__(self, tags: Tag | Iterable[Tag] | TagSet) -> TagSet:
        gone = _normalised(tags)
        return TagSet([tag for tag in self._tags if tag not in gone])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple, set, frozenset)):
            other = TagSet(other)
        return set(self._tags) == set(other._tags) if isinstance(other, TagSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._tags))

    def __repr__(self) -> str:
        return f"TagSet({[_text(tag) for tag in self._tags]})"


def _normalised(tags: Tag | Iterable[Tag] | TagSet | None) -> tuple[Tag, ...]:
    if tags is None:
        return ()
    several = (tags,) if isinstance(tags, (str, Enum)) else tags
    return tuple(dict.fromkeys(part for tag in several for part in parts(tag)))


def _collisions(old: Iterable[Tag], new: Iterable[Tag]) -> list[Tags]:
    excluded = {bad for tag in new if isinstance(tag, Tags) for bad in COLLIDES.get(tag, ())}
    return [tag for tag in old if isinstance(tag, Tags) and tag in excluded]


def _text(tag: Tag) -> str:
    return tag.value if isinstance(tag, Tags) else tag
