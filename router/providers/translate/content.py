"""What messages hold, in both dialects: OpenAI's content parts, Anthropic's content blocks.

Text looks alike on both sides. Fields that one side does not know (cache_control, citations) stay
on the part or block; kinds that neither side is known to share pass through untouched.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...errors import InputError

__all__ = [
    "Json",
    "list_at",
    "object_at",
    "simplify",
    "sort_out",
    "to_blocks",
    "to_part",
    "to_parts",
]

Json = dict[str, Any]

# OpenAI wants a name for a file; a document without a title gets one, and loses it on the way back.
_FILENAMES: Final = {"application/pdf": "document.pdf", "text/plain": "document.txt"}
_BASE64: Final = ";base64"


def to_blocks(content: Any, where: str, dropped: list[str]) -> list[Json]:
    """Anthropic blocks of an OpenAI message's content; blank texts, which Anthropic refuses and
    which say nothing, are left out.

    Raises InputError naming the part that Anthropic has no block for; `dropped` gets the names of
    hints it has no field for.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    blocks = (
        _block(part, f"{where}[{index}]", dropped)
        for index, part in enumerate(list_at(content, where))
    )
    return [block for block in blocks if block.get("type") != "text" or str(block["text"]).strip()]


def to_parts(content: Any, where: str) -> list[Json]:
    """OpenAI parts of an Anthropic content; raises InputError naming the block that has none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks = enumerate(list_at(content, where))
    return [to_part(block, f"{where}[{index}]") for index, block in blocks]


def to_part(block: Any, where: str) -> Json:
    """OpenAI's part of one Anthropic block; raises InputError when there is none."""
    block = object_at(block, where)
    kind = block.get("type")
    if kind == "image":
        source = object_at(block.get("source"), f"{where}.source")
        image = {"url": _url(source, f"{where}.source")}
        return {"type": "image_url", "image_url": image, **sort_out(block, "type", "source")}
    if kind == "document":
        return _file_part(block, where)
    return dict(block)


def simplify(parts: Sequence[Json]) -> str | list[Json]:
    """The text itself when the parts are one bare text, which every server understands."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"} and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return list(parts)


def object_at(value: Any, where: str) -> Mapping[str, Any]:
    """`value` as an object; raises InputError naming `where`."""
    if not isinstance(value, Mapping):
        raise InputError(f"'{where}' must be an object, found {type(value).__name__}", param=where)
    return value


def list_at(value: Any, where: str) -> Sequence[Any]:
    """`value` as a list; raises InputError naming `where`."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InputError(f"'{where}' must be a list, found {type(value).__name__}", param=where)
    return value


def sort_out(value: Mapping[str, Any], *known: str) -> Json:
    """The fields of `value` besides the known ones, without those that are null."""
    return {name: item for name, item in value.items() if name not in known and item is not None}


def _string_at(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"'{where}' must be a string, found {type(value).__name__}", param=where)
    return value


def _block(part: Any, where: str, dropped: list[str]) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    part = object_at(part, where)
    if part.get("prompt_cache_breakpoint") is not None:
        dropped.append(f"{where}.prompt_cache_breakpoint")
    part = sort_out(part, "prompt_cache_breakpoint")
    kind = part.get("type")
    if kind == "text":
        return {**part, "text": _string_at(part.get("text"), f"{where}.text")}
    if kind == "refusal":
        return {"type": "text", "text": _string_at(part.get("refusal"), f"{where}.refusal")}
    if kind == "image_url":
        return _image_block(part, where, dropped)
    if kind == "file":
        return _document_block(part, where)
    if kind == "input_audio":
        raise InputError(f"'{where}' is audio, which Anthropic does not take", param=where)
    return dict(part)


def _image_block(part: Mapping[str, Any], where: str, dropped: list[str]) -> Json:
    image = part.get("image_url")
    if isinstance(image, str):
        image = {"url": image}
    image = object_at(image, f"{where}.image_url")
    url = _string_at(image.get("url"), f"{where}.image_url.url")
    if image.get("detail") not in (None, "auto"):
        dropped.append(f"{where}.image_url.detail")
    if url.startswith("data:"):
        media_type, data = _read_data_url(url, f"{where}.image_url.url")
        source = {"type": "base64", "media_type": media_type, "data": data}
    else:
        source = {"type": "url", "url": url}
    return {"type": "image", "source": source, **sort_out(part, "type", "image_url")}


def _document_block(part: Mapping[str, Any], where: str) -> Json:
    file = object_at(part.get("file"), f"{where}.file")
    if file.get("file_id") is not None:
        raise _foreign_file(f"{where}.file.file_id")
    data_at = f"{where}.file.file_data"
    url = _string_at(file.get("file_data"), data_at)
    media_type = ""
    if url.startswith("data:"):
        media_type, data = _read_data_url(url, data_at)
        if media_type == "text/plain":
            source = {"type": "text", "media_type": media_type, "data": _read_text(data, data_at)}
        else:
            source = {"type": "base64", "media_type": media_type, "data": data}
    elif url.startswith(("http://", "https://")):
        source = {"type": "url", "url": url}
    else:
        raise InputError(f"'{data_at}' must be a data URL or an http URL", param=data_at)
    block: Json = {"type": "document", "source": source, **sort_out(part, "type", "file")}
    filename = file.get("filename")
    if filename is not None and filename != _FILENAMES.get(media_type):
        block["title"] = filename
    return block


def _file_part(block: Mapping[str, Any], where: str) -> Json:
    source = object_at(block.get("source"), f"{where}.source")
    if source.get("type") == "content":
        return dict(block)  # blocks inside a document: no OpenAI part is like it
    file = {"file_data": _url(source, f"{where}.source")}
    title = block.get("title") or _FILENAMES.get(str(source.get("media_type")))
    if title:
        file["filename"] = title
    return {"type": "file", "file": file, **sort_out(block, "type", "source", "title")}


def _url(source: Mapping[str, Any], where: str) -> str:
    kind = source.get("type")
    if kind == "url":
        return _string_at(source.get("url"), f"{where}.url")
    if kind == "base64":
        data = _string_at(source.get("data"), f"{where}.data")
        media_type = _string_at(source.get("media_type"), f"{where}.media_type")
        return f"data:{media_type}{_BASE64},{data}"
    if kind == "text":
        text = _string_at(source.get("data"), f"{where}.data").encode()
        return f"data:text/plain{_BASE64},{base64.b64encode(text).decode('ascii')}"
    if kind == "file":
        raise _foreign_file(f"{where}.file_id")
    expected = "base64, url or text"
    raise InputError(f"'{where}.type' must be {expected}", param=f"{where}.type")


def _foreign_file(where: str) -> InputError:
    return InputError(
        f"'{where}' is a file kept at one provider, which another cannot read; send its data",
        param=where,
    )


def _read_data_url(url: str, where: str) -> tuple[str, str]:
    """(media type, base64 data) of a data URL."""
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(_BASE64):
        raise InputError(f"'{where}' must be a data URL in base64", param=where)
    return head.removesuffix(_BASE64).partition(";")[0], data


def _read_text(data: str, where: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        # The foreign error holds the data.
        raise InputError(f"'{where}' must be UTF-8 text in base64", param=where) from None
