"""Messages of providers that speak gRPC, from a table of fields: number, type, and how many.

Only what we send and read is in a table; whatever else a provider sends is passed over, as protobuf
does with fields it does not know. Enumerations are numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from adapters.providers.faults import broken

if TYPE_CHECKING:
    from collections.abc import Mapping

Fields: TypeAlias = "Mapping[str, tuple[int, str]]"
"""By name: number and type, which is a scalar's or another table's name; ``*`` before it: many."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "string": _Field.TYPE_STRING,
}


class Wire:
    """The messages of one provider."""

    def __init__(self, package: str, tables: Mapping[str, Fields]) -> None:
        self._package = package
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax="proto3"
        )
        for name, fields in tables.items():
            message = file.message_type.add(name=name)
            for field, (number, kind) in fields.items():
                message.field.append(self._field(field, number, kind))
        # A pool of its own: a vendor's SDK in the same process may hold the same names.
        self._pool = descriptor_pool.DescriptorPool()
        self._pool.Add(file)

    def _field(self, name: str, number: int, kind: str) -> _Field:
        many = kind.startswith("*")
        label = _Field.LABEL_REPEATED if many else _Field.LABEL_OPTIONAL
        field = _Field(name=name, number=number, label=label)
        scalar = _SCALARS.get(kind.lstrip("*"))
        if scalar is None:
            field.type = _Field.TYPE_MESSAGE
            field.type_name = f".{self._package}.{kind.lstrip('*')}"
        else:
            field.type = scalar
        return field

    def kind(self, name: str) -> Any:  # noqa: ANN401 - a class made just now
        """Return the class of a message."""
        descriptor = self._pool.FindMessageTypeByName(f"{self._package}.{name}")
        return message_factory.GetMessageClass(descriptor)

    def packed(self, name: str, **fields: object) -> bytes:
        """Return a message on the wire."""
        packed: bytes = self.kind(name)(**fields).SerializeToString()
        return packed

    def unpacked(self, name: str, data: bytes) -> Any:  # noqa: ANN401 - of a class made just now
        """Return a message from the wire; raise Unavailable if it is malformed."""
        message = self.kind(name)()
        try:
            message.ParseFromString(data)
        except Exception as error:  # DecodeError, or ValueError for text that is no UTF-8
            raise broken("a message that cannot be read") from error
        return message
