"""What is asked of a host and what comes back, as plain values without keys."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ERROR_CHARACTERS = 300
"""How much of a server's words is kept."""

Trouble = Literal[
    "", "CONNECT", "UNKNOWN_HOST", "TLS", "PROXY", "POOL", "TIMEOUT", "RESET", "PROTOCOL"
]
"""Why there is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One POST.

    Attributes:
        api: The surface: `pipelines` or `forms`.
        path: Path, percent-encoded.
        body: JSON, before compression.
        plain: Whether compression is left out for this request.
    """

    api: str
    path: str
    body: bytes = field(repr=False)
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for a request.

    Attributes:
        kind: `answer`; `never-sent` when the host certainly did not get the request;
            `no-answer` when it may have.
        status: HTTP status.
        json: The decoded body, if it is complete JSON of at most 64 KB.
        retry_after: The `Retry-After` header as it came.
        date: The `Date` header as it came.
        error: The server's words or the network's trouble, scrubbed and cut.
        trouble: Why there is no answer.
        compressed: Whether the request's body was compressed.
        elapsed_s: Seconds from the start to the end.
    """

    kind: Literal["answer", "never-sent", "no-answer"]
    status: int | None = None
    json: Any = field(default=None, repr=False)
    retry_after: str | None = None
    date: str | None = None
    error: str = ""
    trouble: Trouble = ""
    compressed: bool = False
    elapsed_s: float = 0.0


def problem(body: Any) -> str:
    """Return what an error body says, whichever of the known shapes it has.

    Source: API facts 1.4 and C3. Known are `meta.error`, `meta.errors`, and a list `errors`
    of texts or of objects with `reason`, `field` and `message`.

    Examples:
        >>> problem({"meta": {"errors": ["name cannot be blank"]}})
        'name cannot be blank'
        >>> problem({"errors": [{"reason": "invalid", "field": "id", "message": "too long"}]})
        'invalid id: too long'
        >>> problem({})
        ''
    """
    if not isinstance(body, Mapping):
        return ""
    meta = body.get("meta")
    sources = (meta, body) if isinstance(meta, Mapping) else (body,)
    found = [text for part in sources for key in ("error", "errors") for text in _texts(part, key)]
    return "; ".join(found)


def _texts(part: Mapping[str, Any], key: str) -> list[str]:
    value = part.get(key)
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [text for item in items if (text := _text(item))]


def _text(item: Any) -> str:
    if isinstance(item, Mapping):
        subject = " ".join(str(item[key]) for key in ("reason", "field") if item.get(key))
        return ": ".join(part for part in (subject, str(item.get("message") or "")) if part)
    return item.strip() if isinstance(item, str) else ""


_SCRUBBED_CHARACTERS = 4096  # bounds the work; far more than is kept
_ADDRESS = re.compile(r"[^\s@<>\"'=&,;:]{1,64}(?:@|%40)[^\s@<>\"'&,;:]{1,255}", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")


def scrub(text: str, *, secrets: Iterable[str] = ()) -> str:
    r"""Return a server's words without keys, e-mail addresses and control characters.

    Args:
        text: What the server or the network library said.
        secrets: Texts that must not be repeated.

    Examples:
        >>> scrub("no person ann@example.com\n for key k1", secrets=["k1"])
        'no person [email] for key ***'
    """
    kept = text[:_SCRUBBED_CHARACTERS]
    for secret in secrets:
        kept = kept.replace(secret, "***")
    kept = _UNSEEN.sub(" ", _ADDRESS.sub("[email]", kept)).strip()
    return kept if len(kept) <= ERROR_CHARACTERS else kept[: ERROR_CHARACTERS - 1] + "…"
