"""The credentials of a workspace."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from secrets import token_hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What opens a workspace: made at random unless it is given."""

    write_key: str = field(default_factory=lambda: token_hex(16), repr=False)
    site_id: str = field(default_factory=lambda: token_hex(10), repr=False)
    track_api_key: str = field(default_factory=lambda: token_hex(16), repr=False)
    app_api_key: str = field(default_factory=lambda: token_hex(16), repr=False)
    page_token: str = field(default_factory=lambda: token_hex(16), repr=False)

    def opens_pipelines(self, header: str | None) -> bool:
        """Whether an Authorization header holds the write key with a blank password."""
        return _matches(header, f"{self.write_key}:")

    def opens_page(self, token: str) -> bool:
        """Whether a part of an address is the one of the page, which nobody else is told."""
        return hmac.compare_digest(token.encode(), self.page_token.encode())

    def opens_track(self, header: str | None) -> bool:
        """Whether an Authorization header holds the site id and its API key."""
        return _matches(header, f"{self.site_id}:{self.track_api_key}")

    def opens_app(self, header: str | None) -> bool:
        """Whether an Authorization header holds the App API key as a token."""
        scheme, _, value = (header or "").partition(" ")
        is_same = hmac.compare_digest(value.strip().encode(), self.app_api_key.encode())
        return is_same and scheme.lower() == "bearer"


def _matches(header: str | None, expected: str) -> bool:
    """Compare in constant time, so that a key cannot be guessed byte by byte."""
    scheme, _, value = (header or "").partition(" ")
    try:
        given = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, expected.encode()) and scheme.lower() == "basic"
