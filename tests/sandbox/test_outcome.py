"""The outcome is the same whether the model applies all messages or only the dependent ones."""

import json
import os
import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from cio_frames.identity import Model, Settings
from cio_frames.identity.known_people import export_rows, normalize_export
from cio_frames.sandbox import Faults, independent, outcome
from cio_frames.sandbox.schemas import Message

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLS_PER_MESSAGE = 4
FRAMES = (
    "people",
    "unattributed",
    "group_events",
    "merges",
    "objects",
    "relationships",
    "failures",
)

HISTORIES = int(os.environ.get("CIO_HISTORIES", "240"))
"""How many random histories are compared; 20,000 in the long run."""


class Dice:
    """Random messages: most have few fields and are about few people, some have more or odd ones."""

    def __init__(self, seed):
        self.roll = random.Random(seed)
        self.pool = self.roll.choice([2, 4, 10, 30])
        self.odd = self.roll.choice([0.0, 0.0, 0.05, 0.2, 0.4])

    def either(self, plain, *odd):
        """Return what is plain, or now and then something odd."""
        return self.roll.choice(odd) if self.roll.random() < self.odd else plain

    def number(self):
        """Return the number of a person."""
        return self.roll.randrange(self.pool)

    def mail(self):
        """Return an e-mail address or none."""
        odd = ("a@b", "É@example.com", "", f"M{self.number()}@Example.com")
        return self.either(self.roll.choice([None, f"m{self.number()}@example.com"]), *odd)

    def user(self):
        """Return a reference to a person."""
        n = self.number()
        plain = self.roll.choice(
            [f"u{n}"] * 6 + [f"U{n}", f"m{n}@example.com", f"M{n}@example.com"]
        )
        odd = (
            f"U{n}",
            f"M{n}@example.com",
            f"v{n}",
            "a@b",
            "7",
            " u1",
            "",
            None,
            "cio_k1",
            "cio_c10000000001",
        )
        return self.either(plain, *odd)

    def visitor(self):
        """Return an anonymous id or none."""
        n = self.number()
        return self.either(self.roll.choice([None, None, f"v{n}"]), f"u{n}", "")

    def message(self):
        """Return a message."""
        plain = self.roll.choice([self.identify, self.track, self.visit])
        message = self.either(plain, self.page, self.group, self.alias)()
        if self.roll.random() < 0.1:
            message["messageId"] = f"id-{self.roll.randrange(9)}"
        beside = {
            "objectTypeId": None,
            "timestamp": "2026-02-01",
            "context": {"device": {"token": "t"}},
        }
        name = self.either("timestamp", *beside)
        return {**message, name: beside[name]}

    def identify(self):
        """Return an identify."""
        n = self.number()
        traits = {"email": self.mail(), "note": "x"}
        more = {"id": self.user(), "anonymous_id": self.visitor(), "cio_id": "k1", "objectId": f"u{n}",
                "email": 7, "n": 1e400, "note": self.user()}  # fmt: skip
        name = self.either("note", *more)
        traits |= {name: more[name]} if name != "note" or self.odd else {}
        if self.roll.random() < 0.05:
            traits["anonymous_id"] = self.visitor()
        user = self.roll.choice([self.user(), f"u{n}"])
        return {"type": "identify", "userId": user, "anonymousId": self.visitor(), "traits": traits}

    def track(self):
        """Return an event."""
        name = self.either(
            "View", "User Deleted", "User Suppressed", " ", "Object Deleted", "Application Opened"
        )
        user = self.either(self.user(), None)
        beside = {} if user else {"groupId": "g1"}
        return {
            "type": "track",
            "userId": user,
            "anonymousId": self.visitor(),
            "event": name,
            **beside,
        }

    def visit(self):
        """Return an event of an anonymous visitor."""
        return {
            "type": "track",
            "anonymousId": f"v{self.number() + self.roll.choice([0, 20])}",
            "event": "View",
        }

    def page(self):
        """Return a page or a screen."""
        url = self.roll.choice(["https://x.example", "", 7, None])
        call = self.roll.choice(["page", "screen"])
        return {
            "type": call,
            "userId": self.user(),
            "anonymousId": self.visitor(),
            "name": "Home",
            "properties": {"url": url},
        }

    def group(self):
        """Return a group call."""
        return {
            "type": "group",
            "userId": self.user(),
            "anonymousId": self.visitor(),
            "groupId": "g1",
        }

    def alias(self):
        """Return an alias."""
        return {
            "type": "alias",
            "userId": self.user(),
            "previousId": self.roll.choice([self.user(), self.visitor()]),
        }

    def known(self):
        """Return the people who are there before."""
        rows = self.roll.choice([0, 0, 1, 3])
        return [
            {"id": self.user(), "email": self.mail(), "cio_id": self.either(None, "k1"), "anonymous_id": self.visitor()}
            for _ in range(rows)
        ]  # fmt: skip

    def settings(self):
        """Return the settings of a workspace."""
        pick = self.roll.choice
        return Settings(
            identifiers=self.either(("id", "email"), ("id",)),
            alias_previous=pick(["id", "id-or-anonymous"]),
            alias_unknown=pick(["nothing", "create"]),
            dedupe=pick(["calls", "events", "off"]),
            email_updates=pick([True, False]),
            event_for_unknown=self.either("create", "drop"),
            page_without_url=pick(["dropped", "named"]),
            taken_identifier=pick(["separate", "update", "rekey"]),
        )


def arrived(history):
    """Return messages as they have arrived; those of a person come to no harm by infinite numbers."""
    return [
        (Message(json.dumps(row).replace("Infinity", "1e400").encode(), row["type"], row.get("messageId")), NOW)
        for row in history
    ]  # fmt: skip


def apply(model, message, at):
    """Apply a message as it arrived."""
    content = json.loads(message.text) | {"type": message.call}
    model.apply(content, received_at=at)


def workspace(settings_, known):
    """Return a workspace with the people of an export."""
    model = Model(settings_)
    if known:
        columns = dict.fromkeys(known[0], pl.String)
        model.load(export_rows(normalize_export(pl.DataFrame(known, schema=columns))))
    return model


def lines(frame):
    """Return the lines of a frame in an order of their own, cio_ids left out: they are counted."""
    kept = frame.drop(
        "kept", "removed", "person", "reason", "subject", "key", "removed_keys", strict=False
    )
    return sorted(map(repr, kept.rows()))


@pytest.mark.parametrize("block", range(4))
def test_columns_and_model_come_to_the_same(monkeypatch, block):
    """For random histories the columns give the same outcome as the model."""
    monkeypatch.setattr(outcome, "FROM_MESSAGES", 0)
    monkeypatch.setattr(outcome, "SAMPLED", 10_000)
    people = 0
    for seed in range(block, HISTORIES, 4):
        dice = Dice(seed)
        found = arrived([dice.message() for _ in range(dice.roll.randrange(30))])
        known, settings = dice.known(), dice.settings()
        result = independent.independent_arrivals(
            [message for message, _ in found], workspace(settings, known)
        )
        whole, part = workspace(settings, known), workspace(settings, known)
        for message, at in found:
            apply(whole, message, at)

        came, expected = outcome.of_messages(part, found, apply=apply), outcome.of_model(whole)

        assert came.applied == (len(found) if result is None else len(result.dependent)), (
            f"seed {seed}"
        )
        for name in FRAMES:
            assert lines(getattr(came, name)) == lines(getattr(expected, name)), (
                f"seed {seed}: {name}"
            )
        people += 0 if result is None else result.people.height
    assert people > HISTORIES // 8, "the histories are worth comparing"


def history(rows):
    """Return the messages of people, of events, and of two people who become one."""
    people = [
        {"type": "identify", "userId": f"u{n}", "anonymousId": f"v{n}",
         "traits": {"email": f"m{n}@example.com", "born": "2000-01-01"}}
        for n in range(rows)
    ]  # fmt: skip
    events = [{"type": "track", "userId": f"u{n % 500}", "event": "View"} for n in range(rows)]
    return [*people, *events, {"type": "alias", "userId": "u1", "previousId": "u2"}]


def test_the_model_applies_only_what_meets_others(caller, sandbox):
    """Of many messages those of two people who are merged are applied; the frames are whole all the same."""
    for start in range(0, 3_001, 1_000):
        assert (
            caller.post("/v1/batch", {"batch": history(1_500)[start : start + 1_000]}).status_code
            == 200
        )

    came = sandbox.outcome()

    assert came.applied == 2 + 6 + 1
    assert came.people.height == sandbox.people.height == 1_499
    counts = sandbox.events["person"].value_counts()
    named = sandbox.people.join(counts, left_on="cio_id", right_on="person", how="left")
    own = ("id", "email", "anonymous_ids")
    assert sorted(came.people.rows()) == sorted(
        named.select(*own, pl.col("count").fill_null(0).cast(pl.Int64)).rows()
    )
    assert set(sandbox.people["attributes"]) == {'{"born":946684800}'}
    assert sandbox.outcome().applied == 0, "a workspace that was asked has a model of everything"


@pytest.mark.parametrize("faults", [Faults(doubled=1.0), Faults(failed_after=1.0)])
def test_under_faults_the_model_applies_everything(caller, sandbox, faults):
    """Messages that arrived twice, or were answered with a failure, are not computed on columns."""
    sandbox.faults = faults
    caller.post("/v1/batch", {"batch": history(1_000)[:1_500]})
    sandbox.faults = "none"

    assert sandbox.outcome().people.height == sandbox.people.height == 1_000
    assert sandbox.outcome().people["events"].sum() == sandbox.events.height


def test_columns_that_the_model_does_not_confirm_are_not_believed(monkeypatch):
    """If the model disagrees about some of the people, it applies all messages."""
    found = arrived(history(1_000))
    independent_arrivals = independent.independent_arrivals

    def wrong(messages, model):
        result = independent_arrivals(messages, model)
        return replace(result, people=result.people.with_columns(pl.col("events") + 1))

    monkeypatch.setattr(outcome, "independent_arrivals", wrong)
    came = outcome.of_messages(Model(), found, apply=apply)

    assert came.applied == len(found)
    assert came.people["events"].sum() == 1_000


def test_columns_need_few_calls_per_message():
    """Each further message costs few calls of functions, where the model makes more than a hundred."""
    calls = []
    for rows in (1_000, 3_000):
        found = arrived(history(rows))
        counted = Counter()
        sys.setprofile(lambda _, event, __, counted=counted: counted.update([event]))
        try:
            outcome.of_messages(Model(), found, apply=apply)
        finally:
            sys.setprofile(None)
        calls.append(counted["call"] + counted["c_call"])

    assert (calls[1] - calls[0]) / (2 * 2_000) < CALLS_PER_MESSAGE
