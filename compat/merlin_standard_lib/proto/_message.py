"""What messages of betterproto can do, by the messages of tensorflow-metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, ClassVar

from typing_extensions import Self

Content = dict[str, Any]


class Message:
    """A part of a schema file: as a dictionary, as text and as bytes.

    Subclasses say how tensorflow-metadata names them, and may have a content of their own.
    """

    __slots__ = ()
    _proto: ClassVar[str]

    def _content(self) -> Content:
        """As JSON has it, without what says nothing."""
        said = {}
        for field in _message(self._proto).DESCRIPTOR.fields:
            if value := plain(getattr(self, field.name, None)):
                said[field.json_name] = str(value) if _is_wide(field) else value
        return said

    def to_dict(
        self, casing: Callable[[str], str] | None = None, include_default_values: bool = False
    ) -> Content:
        """The content of the message in JSON.

        Args:
            casing: makes a key of a field's name; ``camelCase`` if not given.
            include_default_values: whether fields are there that say nothing.
        """
        content, descriptor = self._content(), _message(self._proto).DESCRIPTOR
        if include_default_values:
            known = {field.json_name for field in descriptor.fields if hasattr(self, field.name)}
            content = {key: one for key, one in _filled(content, descriptor).items() if key in known}
        return _cased(content, descriptor, casing) if casing else content

    def to_json(self, indent: int | str | None = None) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def from_dict(self, value: Mapping[str, Any]) -> Self:
        """This message, changed in place to what a dictionary says."""
        for field in _message(self._proto).DESCRIPTOR.fields:
            for key in (field.name, field.json_name):
                if key in value:
                    setattr(self, field.name, int(value[key]) if _is_wide(field) else value[key])
        return self

    def from_json(self, value: str | bytes) -> Self:
        """The same of its text."""
        return self.from_dict(json.loads(value))

    def __bytes__(self) -> bytes:
        from google.protobuf import json_format

        message = json_format.ParseDict(self.to_dict(), _message(self._proto)())
        return bytes(message.SerializeToString())

    def SerializeToString(self) -> bytes:
        """As protobuf writes it."""
        return bytes(self)

    def parse(self, data: bytes) -> Self:
        """This message, changed in place to what protobuf has written."""
        from google.protobuf import json_format

        return self.from_dict(json_format.MessageToDict(_message(self._proto).FromString(data)))

    @classmethod
    def FromString(cls, data: bytes) -> Self:
        """A message that protobuf has written."""
        return cls().parse(data)

    def HasField(self, field_name: str) -> bool:
        """Whether a part of the message is set.

        Args:
            field_name: of a field that is itself a message.

        Raises:
            AttributeError: if it is none.
        """
        field = _message(self._proto).DESCRIPTOR.fields_by_name.get(field_name)
        if field is None or field.message_type is None or field.is_repeated:
            raise AttributeError(f"{field_name!r} is no message in a {type(self).__name__}: read its value")
        return field.json_name in self._content()

    def copy(self, **kwargs: Any) -> Self:
        """A message of the same content, in which some fields have other values."""
        made = deepcopy(self)
        for name, value in kwargs.items():
            setattr(made, name, value)
        return made


def plain(value: Any) -> Any:
    """Messages as dictionaries, alone or in a list; anything else as it is."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value._content() if isinstance(value, Message) else value


def _message(name: str) -> Any:
    from tensorflow_metadata.proto.v0 import schema_pb2

    found: Any = schema_pb2
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _is_wide(field: Any) -> bool:
    """Whether a field holds integers of 64 bits, which are texts in JSON."""
    return field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) and not field.is_repeated


def _is_any(field: Any) -> bool:
    """Whether a field holds messages of any kind, whose content is a dictionary of one's own."""
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Any"


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _filled(content: Content, descriptor: Any) -> Content:
    """A content with all fields."""
    whole: Content = {}
    for field in descriptor.fields:
        key = field.json_name
        if field.is_repeated and (field.message_type is None or _is_any(field)):
            whole[key] = content.get(key, [])
        elif field.is_repeated:
            whole[key] = [_filled(one, field.message_type) for one in content.get(key, [])]
        elif field.message_type is not None:
            whole[key] = _filled(content.get(key, {}), field.message_type)
        elif field.enum_type is not None:
            whole[key] = content.get(key, field.enum_type.values_by_number[field.default_value].name)
        else:
            default = str(field.default_value) if _is_wide(field) else field.default_value
            whole[key] = content.get(key, default)
    return whole


def _cased(content: Content, descriptor: Any, casing: Callable[[str], str]) -> Content:
    """A content with other keys."""
    made: Content = {}
    for field in descriptor.fields:
        if field.json_name not in content:
            continue
        value = content[field.json_name]
        if field.message_type is not None and not _is_any(field):
            parts = [_cased(one, field.message_type, casing) for one in _several(value)]
            value = parts if field.is_repeated else parts[0]
        made[casing(field.name)] = value
    return made
