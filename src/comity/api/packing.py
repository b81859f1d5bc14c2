"""Answers in gzip for who takes it, where it saves something (DSP 2025-1, "Catalog: Compression"; RFC 9110, 12.5.3).

Who calls: the protocol's catalog endpoints. What comes in is never unpacked: `body` refuses it.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

LEAST_BYTES: Final = 1024
ASIDE_BYTES: Final = 256 * 1024
LEVEL: Final = 4
_ITEM = re.compile(r"\s*([A-Za-z0-9*-]+)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_MAX_HEADER: Final = 1024


async def answer(request: Request, content: bytes, media_type: str) -> Response:
    """Return a 200 answer with `content`, packed if that is wanted; a long one is packed beside the event loop."""
    headers = {"Vary": "Accept-Encoding"}
    if len(content) >= LEAST_BYTES and wants_gzip(",".join(request.headers.getlist("accept-encoding"))):
        headers["Content-Encoding"] = "gzip"
        content = await asyncio.to_thread(_pack, content) if len(content) > ASIDE_BYTES else _pack(content)
    return Response(content, 200, headers, media_type)


def wants_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header takes gzip; without a header nothing is packed."""
    weights: dict[str, float] = {}
    for each in accepted[:_MAX_HEADER].split(","):
        found = _ITEM.fullmatch(each)
        if found:
            weights.setdefault(found[1].lower(), float(found[2] or 1))
    plain = weights.get("identity", 0.0)
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= plain


def _pack(content: bytes) -> bytes:
    packing = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    return packing.compress(content) + packing.flush()
