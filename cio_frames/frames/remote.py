"""Read files from buckets (s3://, gs://, az://), with the store client that polars uses, and https://."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cio_frames.errors import InputFileError, MissingLibraryError
from cio_frames.frames.copies import copy

BUCKETS = ("s3", "gs", "az", "abfs", "abfss")
WEB = ("https", "http")
TIMEOUT_SECONDS = 60
RETRY: Any = {"max_retries": 3}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
GLOB = re.compile(r"[*?\[]")
_CLIENT = ("allow_http", "allow_invalid_certificates", "proxy_url", "timeout", "connect_timeout")
"""Options of the connection; all others are options of the store."""
_PREFIX = re.compile(r"^(?:aws|azure|google)_")


def is_address(source: str) -> bool:
    """Return whether a source is an address, not a path."""
    return "://" in source


def is_bucket(source: str) -> bool:
    """Return whether an address is of an object store, not of the web."""
    return not source.startswith(tuple(f"{scheme}://" for scheme in WEB))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStamp:
    """The tag of an object, or its size and time where the store gives no tags.

    Attributes:
        path: The address without credentials.
        tag: Changes with the content.
        head: Returns the present tag.
    """

    path: str
    tag: str
    head: Callable[[], str] = field(repr=False, compare=False)

    def require_same(self) -> None:
        """Raise if the object has changed.

        Raises:
            InputFileError: The object has changed, or is gone.
        """
        if self.head() != self.tag:
            raise InputFileError(
                self.path,
                problem="was changed after it was scanned",
                hint="Wait until it is complete, and scan it again.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An object in a bucket.

    Attributes:
        url: Its address.
        store: The client of its bucket.
        key: Its name in the bucket.
        options: The `storage_options` for polars.
    """

    url: str
    store: Any = field(repr=False)
    key: str
    options: Mapping[str, str] = field(repr=False)

    def stamp(self) -> RemoteStamp:
        """Return the stamp of the object.

        Raises:
            InputFileError: It cannot be reached.
        """
        return RemoteStamp(path=self.url, tag=self._tag(), head=self._tag)

    def _tag(self) -> str:
        import obstore

        with _store_errors(self.url):
            metadata = obstore.head(self.store, self.key)
        return metadata["e_tag"] or f"{metadata['size']} {metadata['last_modified']}"

    def download(self) -> str:
        """Copy the object to disk, and return the path."""
        import obstore

        with _store_errors(self.url):
            blocks = obstore.get(self.store, self.key).stream()
            return copy(self.url, lambda file: file.writelines(blocks))

    def footer(self) -> bytes:
        """Return the footer of a Parquet file."""
        import obstore

        with _store_errors(self.url):
            size = obstore.head(self.store, self.key)["size"]
            last = bytes(obstore.get_range(self.store, self.key, start=max(size - 8, 0), end=size))
            start = max(size - 8 - int.from_bytes(last[:4], "little"), 0)
            return bytes(obstore.get_range(self.store, self.key, start=start, end=size))


def without_credentials(url: str) -> str:
    """Return an address without user, password, query and fragment, which may be credentials.

    A path is returned as it is.

    Examples:
        >>> without_credentials("https://ann:secret@example.com/people.csv?signature=1")
        'https://example.com/people.csv'
    """
    if not is_address(url):
        return url
    parts = urlsplit(url)
    is_container = parts.scheme in ("abfs", "abfss")  # container@account
    host = parts.netloc if is_container else parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def download(url: str) -> str:
    """Copy a file from the web to disk, and return the path.

    Raises:
        InputFileError: It cannot be read, or would be read without encryption.
    """
    from http.client import HTTPException  # slow to import
    from urllib.error import HTTPError
    from urllib.request import urlopen

    address = without_credentials(url)
    _check_address(urlsplit(url), address)
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - https, or loopback
            _check_address(urlsplit(response.url), without_credentials(response.url))
            size = response.headers.get("Content-Length")
            path = copy(address, lambda file: shutil.copyfileobj(response, file))
    except HTTPError as error:
        error.close()
        raise InputFileError(
            address,
            problem=f"is answered with HTTP {error.code}",
            hint="Open it in a browser: it may ask for a login, or a signed address may be too old.",
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        raise InputFileError(
            address,
            problem=f"cannot be reached ({type(error).__name__})",
            hint="Check the address, and the network.",
        ) from None
    if size is not None and Path(path).stat().st_size != int(size):
        raise InputFileError(address, problem="came cut off", hint="Scan it again.")
    return path


def list_objects(url: str, options: Mapping[str, str] | None) -> list[Remote]:
    """Return the objects at an address in a bucket, which may be a glob.

    Raises:
        MissingLibraryError: obstore is not installed.
        InputFileError: If there is no object, or the address is not supported.
    """
    parts = urlsplit(url)
    _check_address(parts, without_credentials(url))
    root, key = f"{parts.scheme}://{parts.netloc}", url.partition("://")[2].partition("/")[2]
    store = _store(root, url, options or {})
    keys = [key]
    if GLOB.search(key):
        keys = sorted(name for name in _list_keys(store, key, url) if _matches(name, key))
    if not keys:
        raise InputFileError(url, problem="no such object", hint="Check the address.")
    return [
        Remote(url=f"{root}/{name}", store=store, key=name, options=options or {}) for name in keys
    ]


def _check_address(parts: SplitResult, address: str) -> None:
    if parts.scheme not in (*BUCKETS, *WEB):
        raise InputFileError(
            address,
            problem=f"files are not read from {parts.scheme}://",
            hint="There are s3://, gs://, az:// and https://; fetch it, and scan the file.",
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise InputFileError(
            address, problem="would be read without encryption", hint="Use https://."
        )
    if not parts.path.strip("/"):
        raise InputFileError(address, problem="names no file", hint="Add its name.")


def _store(root: str, url: str, options: Mapping[str, str]) -> Any:
    scheme = root.partition("://")[0]
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise MissingLibraryError(
            "obstore", wanted=f"Reading {scheme}:// addresses", install='"cio-frames[cloud]"'
        ) from None
    without_prefix = {_PREFIX.sub("", name.lower()): name for name in options}
    client: Any = {
        name: options[without_prefix[name]] for name in _CLIENT if name in without_prefix
    }
    config: Any = {
        name: options[name] for bare, name in without_prefix.items() if bare not in _CLIENT
    }
    try:
        return from_url(
            root, client_options=client or None, config=config or None, retry_config=RETRY
        )
    except (BaseError, ValueError) as error:
        raise InputFileError(
            url,
            problem=f"cannot be opened with these storage_options= ({type(error).__name__})",
            hint="Use the names of polars' storage_options, such as aws_region.",
        ) from None


def _list_keys(store: Any, key: str, url: str) -> Iterator[str]:
    import obstore

    prefix = GLOB.split(key)[0].rpartition("/")[0]
    with _store_errors(url):
        for page in obstore.list(store, prefix or None):
            yield from (item["path"] for item in page)


def _matches(key: str, pattern: str) -> bool:
    """Return whether a key matches a glob; `*` does not match a slash, `**` does."""
    if "**" in pattern:
        return fnmatchcase(key, pattern.replace("**/", "*").replace("**", "*"))
    patterns, parts = pattern.split("/"), key.split("/")
    return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


@contextmanager
def _store_errors(url: str) -> Iterator[None]:
    """Raise errors of a store as errors of this package: their texts contain the complete address."""
    from obstore import exceptions

    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError):
        raise InputFileError(url, problem="no such object", hint="Check the address.") from None
    except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise InputFileError(
            url,
            problem="may not be read with these credentials",
            hint="Set them in the environment, or pass storage_options=; a signed address may be too old.",
        ) from None
    except (exceptions.BaseError, OSError) as error:
        raise InputFileError(
            url,
            problem=f"cannot be reached ({type(error).__name__})",
            hint="Check the address, the region, and the network.",
        ) from None
