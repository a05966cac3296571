"""The people that plans are about, as they are before a run: read from the workspace, kept with the run."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import polars as pl

from cio_frames.audit import former_people, pseudonyms, run_file
from cio_frames.audit.object_store import file_system_at
from cio_frames.errors import AuditCorruptError, MappingError
from cio_frames.identity.identifiers import is_mail
from cio_frames.identity.messages import NONE_WANTED
from cio_frames.plan.identity_parts import identity_parts
from cio_frames.plan.pipeline import Pipelines
from cio_frames.sending import Client as SendingClient
from cio_frames.spec import PersonIdType
from cio_frames.views.displays import ShowProgress
from cio_frames.workspaces import Client

MAX_READ_BY_NAME: Final = 5_000
"""Up to this many identifiers are read, one hundred with each request; beyond, all people are exported."""
_REFERENCES: Final = ("user", "previous")
_KINDS: Final[tuple[PersonIdType, ...]] = ("id", "email", "cio_id")


def people_before(
    pipelines: Pipelines, client: SendingClient, *, progress: ShowProgress
) -> pl.DataFrame:
    """Return the people that plans name, as they are in the workspace, with the attributes that plans send.

    Raises:
        MissingKeyError: The client has no App API key.
        MissingLibraryError: The library of the encryption is missing.
        WorkspaceReadError: The people cannot be read.
    """
    former_people.require_library()
    client.require_reading()
    if not isinstance(client, Client):
        raise MappingError("keep_undo=True reads people: pass a client made by cio.connect().")
    named = named_people(pipelines)
    if named.height > MAX_READ_BY_NAME:
        return among(client.people(attributes=_attributes(pipelines), progress=progress), named)
    parts = [
        client.attributes(named.filter(pl.col("kind") == kind)["value"].to_list(), id_type=kind)
        for kind in _KINDS
    ]
    return pl.concat(parts).drop("timestamps", "unsubscribed").unique("cio_id", maintain_order=True)


def kept_people(directory: Path | str) -> pl.DataFrame:
    """Return the people that a run has kept.

    Raises:
        MappingError: The run has kept none.
        AuditCorruptError: The file is missing or changed, or the key is another one.
    """
    disk, where = file_system_at(directory)
    info = run_file.read(disk, where).info
    if not info.former_people:
        raise MappingError(
            "undo needs the people as they were before the run: pass an export from before as known=. "
            "This run has kept none; send(..., keep_undo=True) does."
        )
    path = where / former_people.NAME
    try:
        data = disk.read(path)
    except OSError as error:
        raise AuditCorruptError(
            str(path), problem=f"it cannot be read ({error.strerror})",
            hint="Restore it from a backup, or pass known=.",
        ) from None  # fmt: skip
    return former_people.decrypt(data, run_id=info.run_id, key=pseudonyms.key(), path=str(path))


def named_people(pipelines: Pipelines) -> pl.DataFrame:
    """Return the identifiers that messages name, as kind and value; addresses in lower case."""
    identifiers = []
    with closing(identity_parts(pipelines, NONE_WANTED)) as parts:
        for columns, _ in parts:
            identifiers += [part for frame in columns.frames() for part in _identifiers(frame)]
    return pl.concat(identifiers).drop_nulls().unique(maintain_order=True)


def among(people: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """Return the people who have one of these identifiers."""
    lower = pl.col("email").str.to_lowercase()
    values = {kind: named.filter(pl.col("kind") == kind)["value"].implode() for kind in _KINDS}
    tests = [
        (lower if kind == "email" else pl.col(kind)).is_in(wanted).fill_null(value=False)
        for kind, wanted in values.items()
    ]
    return people.filter(pl.any_horizontal(tests))


def _identifiers(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for name in _REFERENCES:
        if name in frame.columns:
            value = pl.col(name)
            is_cio = value.str.starts_with("cio_")
            kind = pl.when(is_cio).then(pl.lit("cio_id")).when(is_mail(name)).then(pl.lit("email"))
            yield frame.select(
                kind.otherwise(pl.lit("id")).alias("kind"),
                pl.when(is_cio).then(value.str.slice(4))
                .when(is_mail(name)).then(value.str.to_lowercase())
                .otherwise(value).alias("value"),
            )  # fmt: skip
    for name in ("id", "email"):
        if name in frame.columns:
            value = pl.col(name).str.to_lowercase() if name == "email" else pl.col(name)
            yield frame.select(pl.lit(name).alias("kind"), value.alias("value"))


def _attributes(pipelines: Pipelines) -> list[str]:
    """Return the attributes of people that messages write."""
    names: dict[str, None] = {}
    for pipeline in pipelines.all:
        body = pipeline.mapping.call.body
        if pipeline.call in ("identify", "form"):
            names |= {
                s.path[1]: None
                for s in pipeline.mapping.fields
                if s.path[:1] == (body,) and len(s.path) > 1
            }
    return [name for name in names if name not in _KINDS]
