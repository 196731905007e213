"""Bodies that a server compresses although nobody asked for it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from .http import HttpReply, TransportError

__all__ = ["decoded"]

_AT_ONCE: Final = 2**18  # bytes that one read gives at most: some unpack to a thousand times more
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


def decoded(reply: HttpReply) -> HttpReply:
    """`reply` with its body unpacked if it is gzip or deflate; other encodings stay as they are,
    and nobody will be able to read them."""
    encoding = reply.headers.get("content-encoding")
    if encoding is None or encoding.strip().lower() not in ("deflate", "gzip", "x-gzip"):
        return reply
    return _Unpacked(reply)


class _Unpacked:
    """As `HttpReply` says."""

    def __init__(self, reply: HttpReply) -> None:
        self.status = reply.status
        self.headers: Mapping[str, str] = reply.headers
        self._reply = reply
        self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._packed = b""

    async def read(self) -> bytes:
        while not self._unpacker.eof:
            # Without anything left to unpack there may still be something left to give.
            found = self._unpack(self._packed)
            if found:
                return found
            self._packed = await self._reply.read()
            if not self._packed:
                raise TransportError("disconnected")
        while await self._reply.read():
            pass  # whatever follows is none of it
        return b""

    async def aclose(self) -> None:
        await self._reply.aclose()

    def _unpack(self, packed: bytes) -> bytes:
        try:
            found = self._unpacker.decompress(packed, _AT_ONCE)
        except zlib.error:
            raise TransportError("disconnected") from None
        self._packed = self._unpacker.unconsumed_tail
        return found
