"""A plan in a file: what was planned, checked and predicted, for others to review and to apply.

The file is JSON that a version control system compares line by line. It holds names of columns, counts, sentences
and hashes, and no value of the table; constants that the author typed, such as the name of an event, are in it.
"""

import getpass
import hashlib
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import polars as pl

from cio_frames.audit.file_system import LocalFileSystem, write_atomic
from cio_frames.errors import SavedPlanError
from cio_frames.identity import Settings
from cio_frames.plan.estimate import estimate
from cio_frames.plan.identity_preview import identity_preview, premise_of
from cio_frames.plan.json_values import arguments_values, checks_values
from cio_frames.plan.outcome import needs, outcome
from cio_frames.plan.pipeline import Pipeline, Pipelines
from cio_frames.plan.report import summary
from cio_frames.plan.saved_report import saved_document
from cio_frames.plan.workspace_people import WorkspacePeople
from cio_frames.sending import Client
from cio_frames.validation import BLOCKING
from cio_frames.validation.compiled import sentence_about
from cio_frames.views import markdown
from cio_frames.views.document import Document
from cio_frames.views.render import Shown

FORMAT: Final = 1
EXPIRES: Final = timedelta(days=7)
"""How long a plan may be applied after it was saved, unless its author says otherwise."""

_DIGEST: Final = "sha256"
_SIGNED_LATER: Final = ("approvals", _DIGEST)
"""The parts that the hash of a plan does not cover."""

_FINDINGS: Final = ("severity", "code", "columns", "rows", "message")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SavedPlan(Shown):
    """The content of a plan's file: values of JSON.

    Attributes:
        created: When the plan was saved, in UTC.
        expires: Until when it may be applied; None for no limit.
        author: User and machine.
        versions: Versions of the packages that decide about messages.
        destination: Region, host and workspaces of the client, if there was one.
        plans: One entry for each table: call, arguments, mapping, repairs, checks, counts, findings
            by code, and the hashes of the table and of its messages.
        outcome: What sending does, in a sentence.
        identity: The counts of the identity preview, and whether it was compared with an export.
        estimate: Requests, bytes, seconds and new profiles.
        allowances: What sending it to Customer.io needs to be allowed, as `allow=` of `plan.send`.
        reading: How the command line read the files.
        approvals: Who has approved exactly this content.
    """

    created: datetime
    expires: datetime | None
    author: Mapping[str, str]
    versions: Mapping[str, str]
    destination: Mapping[str, Any] | None
    plans: Sequence[Mapping[str, Any]]
    outcome: str
    identity: Mapping[str, Any]
    estimate: Mapping[str, Any]
    allowances: Mapping[str, int]
    reading: Mapping[str, Any] | None = None
    approvals: Sequence[Mapping[str, str]] = ()

    @property
    def digest(self) -> str:
        """The hash of everything but the approvals."""
        return _digest(self.values())

    def markdown(self) -> str:
        """Return the report as Markdown, for a pull request."""
        return markdown.render(self.document())

    def document(self) -> Document:
        """Return the report, for the command line to draw."""
        return saved_document(self.values(), digest=self.digest)

    _document = document

    def values(self) -> dict[str, Any]:
        """Return the content as values of JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["created"] = self.created.isoformat()
        values["expires"] = None if self.expires is None else self.expires.isoformat()
        return {"format": FORMAT, **values}

    def write(self, path: Path | str) -> None:
        """Write the file.

        Raises:
            SavedPlanError: The file cannot be written.
        """
        values = self.values()
        content = json.dumps({**values, _DIGEST: _digest(values)}, indent=1, ensure_ascii=False)
        try:
            write_atomic(
                LocalFileSystem("process"), Path(path).absolute(), content.encode() + b"\n"
            )
        except OSError as error:
            raise SavedPlanError(
                str(path),
                problem=f"it cannot be written ({error.strerror})",
                hint="Choose another path.",
            ) from None


def read_plan(path: Path | str) -> SavedPlan:
    """Return the content of a plan's file.

    Args:
        path: The file that `plan.save` wrote.

    Raises:
        SavedPlanError: The file is missing, is not a plan, is of a newer version, or was changed by hand.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = plan.save(f"{folder}/people.cioplan")
        ...     read_plan(f"{folder}/people.cioplan").digest == saved.digest
        True
    """
    try:
        values = json.loads(Path(path).read_bytes())
        digest, form = values.pop(_DIGEST), values.pop("format")
    except OSError as error:
        raise SavedPlanError(
            str(path), problem=f"it cannot be read ({error.strerror})", hint="Check the path."
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise SavedPlanError(
            str(path),
            problem="it is not a saved plan",
            hint="Pass a file that plan.save(...) wrote.",
        ) from None
    if form != FORMAT:
        raise SavedPlanError(
            str(path), problem=f"it has format {form}, this version reads format {FORMAT}",
            hint="Use the version of cio_frames that saved it, or save the plan again.",
        )  # fmt: skip
    if digest != _digest({"format": form, **values}):
        raise SavedPlanError(
            str(path), problem="it was changed after it was saved",
            hint="Save the plan again, and have it reviewed again.",
        )  # fmt: skip
    try:
        return SavedPlan(
            created=datetime.fromisoformat(values.pop("created")),
            expires=None
            if (until := values.pop("expires")) is None
            else datetime.fromisoformat(until),
            **values,
        )
    except (KeyError, TypeError, ValueError):
        raise SavedPlanError(
            str(path), problem="parts of it are missing", hint="Save the plan again."
        ) from None


def saved_plan(
    pipelines: Pipelines,
    *,
    client: Client | None = None,
    known: WorkspacePeople | None = None,
    settings: Settings | None = None,
    expires: timedelta | None = EXPIRES,
    reading: Mapping[str, Any] | None = None,
) -> SavedPlan:
    """Return the saved plan: everything that a reviewer, and later `apply`, needs."""
    if client is not None:
        pipelines.remember_client(client)
    premise = premise_of(pipelines, known, settings=settings, progress="auto")
    preview = identity_preview(pipelines, premise)
    estimated = estimate(
        pipelines, premise, client=client, rate=client.rate if client else None, latency_s=0.1,
        price_per_profile=None, progress=False,
    )  # fmt: skip
    now = pipelines.all[0].clock()
    return SavedPlan(
        created=now,
        expires=None if expires is None else now + expires,
        author={"user": _user(), "machine": socket.gethostname()},
        versions={name: version(name) for name in ("cio-frames", "polars")},
        destination=None if client is None else destination_of(client),
        plans=described(pipelines),
        outcome=outcome(pipelines.checked(), pipelines.last_preview, client=client),
        identity={"is_compared": known is not None, **_as_dicts(preview.summary)},
        estimate={
            name: getattr(estimated, name)
            for name in ("rows", "requests", "bytes", "compressed_bytes", "seconds", "new_profiles", "objects")
        },
        allowances=needs(pipelines.all, pipelines.last_preview).counts,
        reading=reading,
    )  # fmt: skip


def destination_of(client: Client) -> dict[str, Any]:
    """Return where a client sends, without its keys."""
    return {
        "region": client.region, "endpoint": client.endpoint, "strict": client.strict,
        "workspaces": dict(client.workspaces),
    }  # fmt: skip


def described(pipelines: Pipelines) -> list[dict[str, Any]]:
    """Return the entry of each plan."""
    digests = message_digests(pipelines)
    return [
        _described(pipeline, digest)
        for pipeline, digest in zip(pipelines.checked(), digests, strict=True)
    ]


def message_digests(pipelines: Pipelines) -> list[str]:
    """Return a hash of the messages of each plan, in the order in which they would be sent."""
    components = pipelines.components
    digests = []
    for pipeline in pipelines.all:
        hashed = hashlib.sha256()
        with closing(pipeline.encode_chunks(components=components)) as chunks:
            for chunk in chunks:
                lines = chunk.messages.select(
                    pl.concat_str("path", "message", separator=" ").str.join("\n")
                ).item()
                hashed.update((lines or "").encode() + b"\n" * bool(lines))
        digests.append(hashed.hexdigest())
    return digests


def _described(pipeline: Pipeline, digest: str) -> dict[str, Any]:
    notes = pipeline.table.notes
    return {
        "call": pipeline.call,
        "table": pipeline.table.label,
        "arguments": arguments_values(pipeline.arguments),
        "namespace": pipeline.namespace,
        "mapping": [
            {name: row[name] for name in ("field", "column", "how")}
            for row in pipeline.mapping.describe()
        ],
        "repairs": list(pipeline.mapping.repairs),
        "checks": checks_values(pipeline.checks),
        "catalogue": _catalogue(pipeline),
        "limits": {"message_bytes": pipeline.message_bytes, "batch_bytes": pipeline.batch_bytes},
        "left_out": {
            note.code: len(note.rows) for note in notes if note.severity in BLOCKING and note.rows
        },
        "counts": pipeline.counts,
        "findings": list(_findings(pipeline)),
        "can_start_campaigns": campaigns(pipeline),
        "fingerprint": pipeline.before_send.fingerprint,
        "messages": digest,
    }


def campaigns(pipeline: Pipeline) -> int:
    """Return how many messages can start campaigns now."""
    return pipeline.full_check.allowances.campaigns(pipeline.clock()).total


def _findings(pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Yield the findings by code, with sentences of the catalogue: those of findings can quote values."""
    sentences = {check.code: check.texts.sentence for check in pipeline.applied}
    for row in summary(pipeline).select(_FINDINGS).iter_rows(named=True):
        sentence = sentence_about(sentences.get(row["code"], ""), ", ".join(row["columns"]) or None)
        yield {**row, "message": sentence}


def _catalogue(pipeline: Pipeline) -> str:
    """Return a hash that identifies the checks that apply."""
    listed = "\n".join(f"{check.code} {check.severity}" for check in pipeline.applied)
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def _as_dicts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()
    }


def _user() -> str:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "unknown"


def _digest(values: Mapping[str, Any]) -> str:
    signed = {name: value for name, value in values.items() if name not in _SIGNED_LATER}
    content = json.dumps(signed, sort_keys=True, ensure_ascii=False, default=list)
    return hashlib.sha256(content.encode()).hexdigest()
