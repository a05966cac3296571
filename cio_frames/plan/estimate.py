"""Estimates of what sending takes: requests, bytes, time, new profiles, money; and comparisons with a run."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.identity import Settings
from cio_frames.identity.conflicts import OTHER_FORM
from cio_frames.identity.messages import names_by_id_alone
from cio_frames.identity.preview import profile_count
from cio_frames.identity.settings import Premise
from cio_frames.payloads.batches import ENVELOPE_BYTES
from cio_frames.plan.full_check import KEPT_MESSAGES
from cio_frames.plan.identity_preview import preview_counts
from cio_frames.plan.outcome import needs
from cio_frames.plan.pipeline import SEND_CALL, Pipeline, Pipelines, PreviewCounts
from cio_frames.run import Run
from cio_frames.sending import Client
from cio_frames.spec import CALLS
from cio_frames.views.displays import ShowProgress
from cio_frames.views.document import Document, Heading, Paragraph, Table
from cio_frames.views.render import Shown
from cio_frames.views.wording import duration, many, number, size

BOUNDS: Final = ("the rate of requests", "the response time", "this machine")
CONCURRENCY: Final = 16
ENCODED_ROWS_PER_S: Final = 150_000


@dataclass(frozen=True, kw_only=True, repr=False)
class Estimate(Shown):
    """What sending takes.

    Attributes:
        label: What would be sent.
        rows: Rows that would be sent.
        requests: Requests.
        message_bytes: Bytes of the messages alone.
        bytes: Bytes of the request bodies: messages, separators and envelopes.
        compressed_bytes: About how many bytes go over the wire.
        seconds: About how long it takes.
        bound: What limits the speed, one of `BOUNDS`.
        new_profiles: People that are created; at most this many if no export was given.
        removed_profiles: People of the export that merges and deletions remove.
        objects: Objects that are created or updated.
        price: What the new profiles cost, if a price was given.
        compared: Whether an export of the workspace's people was given.
        open: The open settings that the number of new profiles depends on; None if there are none.
        allowances: What has to be allowed to send to Customer.io, as `allow=` of `plan.send`.
        other_forms: Rows whose ids the export has in another form, such as without leading zeros.
    """

    label: str
    rows: int
    requests: int
    message_bytes: int
    bytes: int
    compressed_bytes: int
    seconds: float
    bound: str
    new_profiles: int
    removed_profiles: int
    objects: int
    price: float | None
    compared: bool
    open: str | None = None
    allowances: Mapping[str, int] = field(default_factory=dict)
    other_forms: int = 0
    _send_call: str = SEND_CALL

    def compare(self, run: Run) -> "Comparison":
        """Return the estimate compared with a run."""
        return Comparison(estimate=self, run=run)

    def _document(self) -> Document:
        premise = Paragraph(_premise(compared=self.compared), "lead")
        table = Table(("what", "estimate", "note"), self._lines())
        return Document(Heading("Estimate", self.label), (premise, table))

    def _lines(self) -> list[tuple[str, str, str]]:
        at_most = "" if self.compared else "at most "
        sample = f"from a sample of at most {number(KEPT_MESSAGES)} rows of each plan"
        visitors = "billable; anonymous visitors are not counted"
        visitors += f". Open: {self.open}" if self.open else ""
        if self.other_forms:
            visitors += (
                f". {many(self.other_forms, 'row')} name people of the export by ids in another form "
                "and make new ones: see .identity(known=...).conflicts"
            )
        objects = f"at most {number(self.objects)} new" if self.objects else "none"
        lines = [
            ("rows to send", number(self.rows), ""),
            ("requests", number(self.requests), ""),
            ("bytes", size(self.bytes), ""),
            ("bytes, compressed", f"about {size(self.compressed_bytes)}", sample),
            ("time", f"about {duration(self.seconds)}", f"limited by {self.bound}"),
            ("new profiles", at_most + number(self.new_profiles), visitors),
            (
                "profiles removed",
                number(self.removed_profiles),
                "by merges and deletions, permanently",
            ),
            ("objects", objects, ""),
        ]
        if self.price is not None:
            lines.append(("price", f"{at_most}{self.price:,.2f} for the new profiles", ""))
        if self.allowances:
            needed = self._send_call.format(f"allow={json.dumps(self.allowances)}")
            lines.append(("to allow", needed, "what it does in Customer.io cannot be undone"))
        return lines


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Shown):
    """An estimate compared with a run.

    Attributes:
        estimate: The estimate.
        run: The run.
    """

    estimate: Estimate
    run: Run

    @property
    def table(self) -> pl.DataFrame:
        """What was estimated, the actual value, and the difference as a share of it."""
        counts, estimate = self.run.counts, self.estimate
        rows = [
            ("rows", estimate.rows, counts["delivered"] + counts["accepted_unverified"]),
            ("requests", estimate.requests, counts["requests"]),
            ("message bytes", estimate.message_bytes, counts["bytes"]),
            ("seconds", estimate.seconds, self.run.elapsed_s),
        ]
        schema = {"what": pl.String, "estimate": pl.Float64, "actual": pl.Float64}
        frame = pl.DataFrame(rows, schema=schema, orient="row", strict=False)
        return frame.with_columns((pl.col("estimate") / pl.col("actual") - 1).alias("off_by"))

    def _document(self) -> Document:
        repeats = f"{many(self.run.counts['retries'], 'repeat')} of requests in the run."
        lines = [
            (what, _shown(what, estimate), _shown(what, actual))
            for what, estimate, actual, _ in self.table.iter_rows()
        ]
        table = Table(("what", "estimate", "outcome"), lines)
        heading = Heading("Estimate and outcome", f"run {self.run.run_id}")
        return Document(heading, (Paragraph(repeats, "lead"), table))


@engine_errors("requests were estimated")
def estimate(
    pipelines: Pipelines,
    premise: Premise,
    *,
    client: Client | None,
    rate: float | None,
    latency_s: float,
    price_per_profile: float | None,
    progress: ShowProgress = False,
    preview: PreviewCounts | None = None,
) -> Estimate:
    """Return what sending plans takes; `preview` has upper limits for the counts of an identity preview."""
    plans = pipelines.checked()
    counted = (
        _counted(pipelines, premise)
        or preview
        or preview_counts(pipelines, premise, progress=progress)
    )
    counts = [plan.counts for plan in plans]
    rows = sum(count["valid"] for count in counts)
    requests = sum(count["batches"] for count in counts)
    sizes = [_body_bytes(plan, count) for plan, count in zip(plans, counts, strict=True)]
    ratios = [_ratio(plan, client) for plan in plans]
    seconds, bound = _time(plans, counts, client=client, rate=rate, latency_s=latency_s)
    return Estimate(
        label=pipelines.label,
        rows=rows,
        requests=requests,
        message_bytes=sum(count["bytes"] for count in counts),
        bytes=sum(sizes),
        compressed_bytes=round(
            sum(size * ratio for size, ratio in zip(sizes, ratios, strict=True))
        ),
        seconds=seconds,
        bound=bound,
        new_profiles=counted.creates,
        removed_profiles=_removed(counted, premise),
        objects=counted.objects,
        price=None if price_per_profile is None else counted.creates * price_per_profile,
        compared=premise.workspace_people is not None,
        open=counted.open,
        allowances=needs(plans, pipelines.last_preview).counts,
        other_forms=counted.conflicts.get(OTHER_FORM, 0),
        _send_call=pipelines.send_call,
    )


def _counted(pipelines: Pipelines, premise: Premise) -> PreviewCounts | None:
    """Return the counts of a preview if the checks have them: when ids alone identify people."""
    first, *more = pipelines.all
    if more or premise.workspace_people is not None or premise.settings != Settings():
        return None
    if not names_by_id_alone(first.mapping) or first.full_check.unclear:
        return None
    people = first.full_check.people
    created_by_events = first.call == "track" and people
    return PreviewCounts(
        creates=people, people=people, objects=0, summary={}, is_compared=False,
        open="event_for_unknown" if created_by_events else None,
    )  # fmt: skip


def _removed(counted: PreviewCounts, premise: Premise) -> int:
    """Return how many people of the export are removed."""
    before = 0 if premise.workspace_people is None else profile_count(premise.workspace_people)
    return before + counted.creates - counted.people


def _body_bytes(plan: Pipeline, count: dict[str, int]) -> int:
    """Return the bytes of all bodies: messages, commas between them, and envelopes."""
    if not CALLS[plan.call].batched:
        return count["bytes"]
    return count["bytes"] + count["valid"] - count["batches"] + ENVELOPE_BYTES * count["batches"]


def _ratio(plan: Pipeline, client: Client | None) -> float:
    """Return the compressed share of a body, from a sample of the first rows."""
    if not CALLS[plan.call].api.gzip or (client is not None and not client.gzip):
        return 1.0
    body = ",".join(plan.messages(KEPT_MESSAGES)).encode()
    return len(zlib.compress(body, 1)) / len(body) if body else 1.0


def _time(
    plans: Sequence[Pipeline],
    counts: Sequence[dict[str, int]],
    *,
    client: Client | None,
    rate: float | None,
    latency_s: float,
) -> tuple[float, str]:
    """Return the seconds that sending takes at least, and what limits the speed."""
    waiting = dict.fromkeys(BOUNDS, 0.0)
    concurrency = CONCURRENCY if client is None else client.concurrency
    for plan, count in zip(plans, counts, strict=True):
        most = rate if client is None else client.request_rate(CALLS[plan.call].api.name)
        times = (
            0.0 if most is None else count["batches"] / most,
            count["batches"] * latency_s / concurrency,
            count["valid"] / ENCODED_ROWS_PER_S,
        )
        slowest = max(range(len(times)), key=times.__getitem__)
        waiting[BOUNDS[slowest]] += times[slowest]
    return sum(waiting.values()) + latency_s, max(waiting, key=waiting.__getitem__)


def _premise(*, compared: bool) -> str:
    if compared:
        return "New profiles are people who are not in the export of the workspace."
    return "Without known= (an export of the workspace's people), everyone counts as new."


def _shown(what: str, value: float) -> str:
    if what == "seconds":
        return duration(value)
    return size(round(value)) if what == "message bytes" else number(round(value))
