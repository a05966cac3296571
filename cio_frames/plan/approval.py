"""Approvals of saved plans: signatures of the people who reviewed them.

Each person has an Ed25519 key in a file that only they can read; its public half names the person where an approval is
required. The signature does not match a changed plan, or another one.
"""

import base64
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from cio_frames.clock import utc_now
from cio_frames.config import variable
from cio_frames.errors import ConfigError, MissingLibraryError, SavedPlanError
from cio_frames.plan.saved_plan import SavedPlan, read_plan

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_VARIABLE: Final = "CIO_APPROVAL_KEY"
PREFIX: Final = "ed25519:"
_PURPOSE: Final = b"cio_frames approval of plan "


def approval_key(*, environ: Mapping[str, str] | None = None, directory: Path | None = None) -> str:
    """Return the name of this person's key, and make the key if there is none.

    Args:
        environ: Used instead of the environment, in which CIO_APPROVAL_KEY can be the private key.
        directory: Where the key file is; the user's data directory if not given.

    Returns:
        The public key, for `cio.apply(..., approved_by=[...])`.
    """
    return _name(_private(environ=environ, directory=directory))


def approve(
    path: Path | str,
    *,
    clock: Callable[[], datetime] = utc_now,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> SavedPlan:
    """Sign a saved plan as it is, and write the signature into its file.

    Args:
        path: The file that `plan.save` wrote.
        clock: Gives the time of the approval.
        environ: As for `approval_key`.
        directory: As for `approval_key`.

    Raises:
        SavedPlanError: The file is not a plan, or was changed after it was saved.
        MissingLibraryError: The library of the signatures is missing.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = plan.save(f"{folder}/people.cioplan")
        ...     len(approve(f"{folder}/people.cioplan", directory=Path(folder)).approvals)
        1
    """
    saved, private = read_plan(path), _private(environ=environ, directory=directory)
    signature = private.sign(_signed(saved))
    approval = {
        "key": _name(private), "at": clock().isoformat(),
        "signature": base64.b64encode(signature).decode(),
    }  # fmt: skip
    others = [other for other in saved.approvals if other["key"] != approval["key"]]
    approved = replace(saved, approvals=(*others, approval))
    approved.write(path)
    return approved


def require_approval(
    path: Path | str, saved: SavedPlan, *, approved_by: Iterable[str]
) -> str | None:
    """Return the allowed key that approved a plan; None if no approval is required.

    Raises:
        SavedPlanError: No allowed key has signed this content.
    """
    allowed = tuple(approved_by)
    if not allowed:
        return None
    signed = [
        approval
        for approval in saved.approvals
        if approval.get("key") in allowed and _is_valid(saved, approval)
    ]
    if not signed:
        raise SavedPlanError(
            str(path), problem="no one with an allowed key has approved this plan",
            hint="Have it approved with cio.approve(path) or `cio-frames approve`. An approval is for one version: a "
            "plan that was saved again needs a new one.",
        )  # fmt: skip
    return signed[0]["key"]


def _is_valid(saved: SavedPlan, approval: Mapping[str, str]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = base64.b64decode(approval["key"].removeprefix(PREFIX), validate=True)
        signature = base64.b64decode(approval["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed(saved))
    except (InvalidSignature, ValueError, KeyError):
        return False
    return True


def _signed(saved: SavedPlan) -> bytes:
    return _PURPOSE + saved.digest.encode()


def _name(private: "Ed25519PrivateKey") -> str:
    return PREFIX + base64.b64encode(private.public_key().public_bytes_raw()).decode()


def _private(*, environ: Mapping[str, str] | None, directory: Path | None) -> "Ed25519PrivateKey":
    """Return the key of this person, from the environment or from its file."""
    kind = _kind()
    text = variable(KEY_VARIABLE, environ=environ)
    if text is not None:
        return _read(kind, text, where=KEY_VARIABLE)
    path = (directory or Path(platformdirs.user_data_dir("cio_frames"))) / "approval.key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new_key = base64.b64encode(kind.generate().private_bytes_raw())
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(new_key)
        return _read(kind, path.read_text(), where=str(path))
    except OSError as error:
        raise ConfigError(
            f"The key of approvals cannot be kept in {path} ({error.strerror}). Set {KEY_VARIABLE}."
        ) from None


def _read(kind: Any, text: str, *, where: str) -> "Ed25519PrivateKey":
    try:
        key: Ed25519PrivateKey = kind.from_private_bytes(
            base64.b64decode(text.strip(), validate=True)
        )
    except ValueError:
        raise ConfigError(
            f"{where} does not hold a key of approvals: 32 bytes in Base64. Remove it to have one made."
        ) from None
    return key


def _kind() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise MissingLibraryError(
            "cryptography", wanted="An approval", install='"cio-frames[review]"'
        ) from None
    return Ed25519PrivateKey
