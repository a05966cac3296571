"""Read the body of a request, within limits of size and time."""

import asyncio
import io
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File
from starlette.exceptions import HTTPException
from starlette.requests import Request

GZIP_WINDOW = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many bytes of a body are read, compressed and decompressed, and for how long."""

    request_bytes: int = 8_000_000
    request_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A decompressed body, and how many bytes it had on the wire."""

    data: bytes = b""
    wire_bytes: int = 0


async def read(request: Request, *, bounds: Bounds) -> Body:
    """Return the body of a request.

    Raises:
        HTTPException: It is too large (413), too slow (408) or compressed in an unknown way (415, 400).
        ClientDisconnect: The sender disconnected.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(bounds.request_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > bounds.request_bytes:
                    raise _too_large(bounds)
                chunks.append(chunk)
    except TimeoutError:
        raise HTTPException(408, "the body took too long", {"connection": "close"}) from None
    encoding = request.headers.get("content-encoding", "identity").lower()
    return Body(data=_decompressed(b"".join(chunks), encoding, bounds=bounds), wire_bytes=size)


def fields(body: bytes, content_type: str) -> dict[str, str]:
    """Return the fields of a posted web form; if a name occurs twice, the last one counts.

    Raises:
        HTTPException: It is not a web form, or it contains a file.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
        if kind == "multipart/form-data":
            return _parts(body, content_type)
    except (FormParserError, UnicodeDecodeError, ValueError) as error:
        raise HTTPException(400, f"the form cannot be read: {error}") from error
    raise HTTPException(415, "a form is urlencoded or multipart")


def _parts(body: bytes, content_type: str) -> dict[str, str]:
    form_fields: dict[str, str] = {}

    def keep(part: Field) -> None:
        form_fields[(part.field_name or b"").decode()] = (part.value or b"").decode()

    def refuse(_: File) -> None:
        raise HTTPException(400, "a form cannot contain files")

    parse_form({"Content-Type": content_type.encode()}, io.BytesIO(body), keep, refuse)
    return form_fields


def _decompressed(data: bytes, encoding: str, *, bounds: Bounds) -> bytes:
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise HTTPException(415, "Content-Encoding is gzip or nothing")
    decompressor = zlib.decompressobj(GZIP_WINDOW)
    try:
        body = decompressor.decompress(data, bounds.request_bytes + 1)
    except zlib.error as error:
        raise HTTPException(400, "the body is not gzip") from error
    if len(body) > bounds.request_bytes:
        raise _too_large(bounds)
    if not decompressor.eof or decompressor.unused_data:
        raise HTTPException(400, "the gzip data is cut off or followed by something else")
    return body


def _too_large(bounds: Bounds) -> HTTPException:
    detail = f"no more than {bounds.request_bytes} bytes are read"
    return HTTPException(413, detail, {"connection": "close"})
