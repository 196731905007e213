"""What a virtual key allows, as its maker says it: strict, bounded, every refusal by field."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

__all__ = ["KeyChanges", "KeyForm", "KeySettings", "Metadata", "MetadataValue"]

MetadataValue = str | int | float | bool
Metadata = Mapping[str, MetadataValue]

_MAX_NAMES: Final = 256
_MAX_NAME_CHARS: Final = 200
_MAX_ENTRIES: Final = 32
_MAX_ENTRY_NAME_CHARS: Final = 64
_MAX_ENTRY_CHARS: Final = 512
_MAX_ENTRY_NUMBER: Final = 2**63 - 1  # what JSON readers agree upon
_MAX_USD: Final = 1e9  # of which nano-dollars fit into 64 bits
_LAST_MOMENT: Final = 253_402_300_799.0  # the year 9999
# Controls, halves of surrogate pairs, line and paragraph breaks: a name is one line in a log.
_NOT_IN_NAMES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _name(name: str) -> str:
    if not name.strip():
        raise ValueError("is blank")
    if any(unicodedata.category(sign) in _NOT_IN_NAMES for sign in name):
        raise ValueError("holds a control character or a line break")
    return name


def _as_tuple(names: Any) -> Any:
    if isinstance(names, list):
        return tuple(names)
    if not isinstance(names, tuple):
        raise PydanticKnownError("list_type")
    return names


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names one thing twice")
    return names


def _metadata(given: Any) -> dict[str, MetadataValue]:
    if not isinstance(given, Mapping):
        raise PydanticKnownError("dict_type")
    if len(given) > _MAX_ENTRIES:
        raise ValueError(f"holds {len(given)} entries, at most {_MAX_ENTRIES} are kept")
    for name, value in given.items():
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_ENTRY_NAME_CHARS:
            raise ValueError(
                f"holds a name that is empty or longer than {_MAX_ENTRY_NAME_CHARS} characters"
            )
        if not _is_unicode(name):
            raise ValueError("holds a name that is not valid Unicode")
        if fault := _entry_fault(value):
            where = f"metadata.{name}"
            said = f"'{where}' {fault}"
            raise PydanticCustomError("invalid_value", "{said}", {"said": said, "param": where})
    return dict(given)


def _entry_fault(value: Any) -> str | None:
    if isinstance(value, str):
        if len(value) > _MAX_ENTRY_CHARS:
            return f"is longer than {_MAX_ENTRY_CHARS} characters"
        if not _is_unicode(value):
            return "is not valid Unicode"
    elif isinstance(value, int | float):  # a boolean is an int
        if not -_MAX_ENTRY_NUMBER <= value <= _MAX_ENTRY_NUMBER:  # NaN is nowhere
            return "should be a finite number of at most 64 bits"
    else:
        return "should be a string, a number or a boolean"
    return None


def _is_unicode(text: str) -> bool:
    """Whether it can be written; half an emoji cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


_Name = Annotated[str, Field(min_length=1, max_length=_MAX_NAME_CHARS), AfterValidator(_name)]
_Names = Annotated[
    tuple[_Name, ...],
    BeforeValidator(_as_tuple),
    Field(max_length=_MAX_NAMES),
    AfterValidator(_distinct),
]
_Usd = Annotated[float, Field(gt=0.0, le=_MAX_USD)]
_Count = Annotated[int, Field(ge=1, le=10**12)]
_Moment = Annotated[float, Field(gt=0.0, le=_LAST_MOMENT)]
_Metadata = Annotated[
    Metadata,
    PlainValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": _MAX_ENTRIES,
            "propertyNames": {"minLength": 1, "maxLength": _MAX_ENTRY_NAME_CHARS},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "maxLength": _MAX_ENTRY_CHARS},
                    {"type": "number"},
                    {"type": "boolean"},
                ]
            },
        }
    ),
]


class KeySettings(BaseModel):
    """What a key allows; None is no limit. Days and months are UTC's."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    models: Annotated[
        _Names | None,
        Field(description="The models that it may ask by name; null: all. Cascades are apart."),
    ] = None
    cascades: Annotated[
        _Names | None,
        Field(description="The cascades that it may ask, whatever models are in them; null: all."),
    ] = None
    daily_limit: Annotated[_Usd | None, Field(description="USD a day.")] = None
    monthly_limit: Annotated[_Usd | None, Field(description="USD a month.")] = None
    user_daily_limit: Annotated[
        _Usd | None,
        Field(description="USD a day for each of its users, in place of the gateway's limit."),
    ] = None
    user_monthly_limit: Annotated[
        _Usd | None,
        Field(description="USD a month for each of its users, in place of the gateway's limit."),
    ] = None
    requests_per_minute: _Count | None = None
    tokens_per_minute: Annotated[
        _Count | None, Field(description="Tokens of prompts and answers.")
    ] = None


class KeyForm(KeySettings):
    """A key to be made."""

    name: Annotated[_Name, Field(description="For people; several keys may share one.")]
    expires_at: Annotated[_Moment | None, Field(description="Unix seconds; null: never.")] = None
    metadata: Annotated[_Metadata, Field(description="Whatever you want to find again.")] = Field(
        default_factory=dict
    )

    @property
    def settings(self) -> KeySettings:
        """The part that says what the key allows."""
        return KeySettings(**{name: getattr(self, name) for name in KeySettings.model_fields})


class KeyChanges(KeySettings):
    """What to change of a key: only what is given. Null takes a limit, an expiry or all metadata
    away; a name cannot be taken away."""

    # The default stands for "not given", which a schema has no value for.
    name: Annotated[_Name, Field(json_schema_extra=lambda schema: schema.pop("default"))] = ""
    expires_at: Annotated[_Moment | None, Field(description="Unix seconds; null: never.")] = None
    metadata: Annotated[_Metadata | None, Field(description="In place of all that there was.")] = (
        None
    )

    @property
    def given(self) -> Mapping[str, Any]:
        """The fields that were given, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}
