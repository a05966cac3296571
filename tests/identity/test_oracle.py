"""The model against a second one that is written another way: lists, scans, and rules to a fix point.

Nothing is indexed and nothing is moved. People are facts in a list; a message adds wishes, and
rules rewrite the list until none applies. Whose an event is gets asked at the very end.
"""

import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cio_frames.identity import Model, Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAMS = int(os.environ.get("CIO_STREAMS", "400"))
"""How many random streams are compared; 10,000 in the long run."""

DAY = 86_400


class Oracle:
    """Section 3 of the reference, in the most naive way."""

    def __init__(self, settings):
        self.settings = settings
        self.people = []  # [{"n", "id", "email", "gone"}]
        self.merges = []  # (when, removed n, kept n)
        self.deleted = {}  # n -> when
        self.links = {}  # visitor -> (when, n)
        self.log = []  # (when, n or None, visitor, timestamp, name)
        self.blocked = []  # sets of identifiers that were blocked together
        self.related = []  # [holder, object], holder = ("person", n) or ("visitor", name)
        self.objects = []
        self.when = 0

    def kind(self, value):
        """Tell what a reference is; good enough for the references of these streams."""
        return "email" if "@" in value else "id"

    def same(self, kind, one, other):
        """Tell whether two identifiers of one kind are the same."""
        if one is None or other is None:
            return False
        return one.lower() == other.lower() if kind == "email" else one == other

    def holders(self, kind, value):
        """Scan for the people who have an identifier."""
        return [p for p in self.people if not p["gone"] and self.same(kind, p[kind], value)]

    def is_blocked(self, kind, value):
        """Tell whether an identifier is suppressed."""
        return any(
            k == kind and self.same(kind, v, value) for group in self.blocked for k, v in group
        )

    def add(self, **keys):
        """Add a person."""
        person = {"n": len(self.people), "id": None, "email": None, "gone": False, **keys}
        self.people.append(person)
        return person

    def apply(self, message):
        """Take one message."""
        getattr(self, message["type"])(message)
        self.when += 1

    def identify(self, message):
        """Rewrite until no rule applies."""
        user, email = message.get("userId"), message["traits"].get("email")
        visitor = message.get("anonymousId")
        who = user or email
        if not who:
            return
        kind = self.kind(who)
        other = "email" if kind == "id" else "id"
        claim = email if other == "email" else None
        if self.is_blocked(kind, who) or (email and self.is_blocked("email", email)):
            return
        while self.rewrite(kind, who, other, claim):
            pass
        person = self.holders(kind, who)[0]
        if visitor:
            self.link(visitor, person)

    def rewrite(self, kind, who, other, claim):  # noqa: PLR0911, C901 - one return for each rule
        """Apply the first rule that changes something, and return whether one did."""
        named = self.holders(kind, who)
        claimed = self.holders(other, claim) if claim else []
        if not named and not claimed:
            self.add(**{kind: who, other: claim})
            return True
        if not named and claimed[0][kind] is None:
            claimed[0][kind] = who
            return True
        if not named and kind == "id" and self.settings.taken_identifier == "rekey":
            claimed[0][kind] = who  # the tip: "updates the person", who gets the new id
            return True
        if not named:
            self.add(**{kind: who})
            return True
        if not claim or named[0] in claimed:
            return False
        if not claimed:
            if named[0][other] is None or (self.settings.email_updates and other == "email"):
                named[0][other] = claim
                return True
            return False
        free = named[0][other] is None and claimed[0][kind] is None
        if free and self.settings.auto_merge:
            kept, removed = sorted((named[0], claimed[0]), key=lambda person: person["n"])
            self.merge(kept, removed)
            return True
        return False

    def merge(self, kept, removed):
        """Let one person be gone and the other have what the first had."""
        removed["gone"] = True
        for kind in ("id", "email"):
            kept[kind] = kept[kind] if kept[kind] is not None else removed[kind]
        self.merges.append((self.when, removed["n"], kept["n"]))
        moved = [(("person", kept["n"]) if h == ("person", removed["n"]) else h, o)
                 for h, o in self.related]  # fmt: skip
        self.related = list(dict.fromkeys(moved))

    def link(self, visitor, person):
        """Link a visitor to a person, once and for all."""
        if visitor in self.links:
            return
        self.links[visitor] = (self.when, person["n"])
        moved = [(("person", person["n"]) if h == ("visitor", visitor) else h, o)
                 for h, o in self.related]  # fmt: skip
        self.related = list(dict.fromkeys(moved))

    def alias(self, message):
        """Merge two people, if both are there."""
        user, previous = message.get("userId"), message.get("previousId")
        if not user or not previous:
            return
        if self.is_blocked(self.kind(user), user) or self.is_blocked(self.kind(previous), previous):
            return
        kept = self.holders(self.kind(user), user)
        removed = self.holders(self.kind(previous), previous)
        if kept and removed and kept[0] is not removed[0]:
            self.merge(kept[0], removed[0])

    def track(self, message):  # noqa: C901 - one branch for each name
        """Log an event, or do what its name says."""
        user, visitor, name = message.get("userId"), message.get("anonymousId"), message["event"]
        if name == "Object Deleted":
            self.drop_object(message)
            return
        if name != "View" and not user:
            return
        if name == "User Unsuppressed":
            kind = self.kind(user)
            self.blocked = [g for g in self.blocked
                            if not any(k == kind and self.same(k, v, user) for k, v in g)]  # fmt: skip
            return
        if user and self.is_blocked(self.kind(user), user):
            return
        people = self.holders(self.kind(user), user) if user else []
        if name in ("User Deleted", "User Suppressed"):
            self.forget(user, people, block=name == "User Suppressed")
        elif name == "Relationship Deleted":
            gone = [(("person", p["n"]), ("1", message["properties"]["objectId"])) for p in people]
            self.related = [pair for pair in self.related if pair not in gone]
        elif user:
            person = people[0] if people else self.add(**{self.kind(user): user})
            self.log.append((self.when, person["n"], visitor, message["at"], name))
        elif visitor:
            self.log.append((self.when, None, visitor, message["at"], name))

    def forget(self, user, people, *, block):
        """Delete a person, and block the identifiers."""
        keys = {(self.kind(user), user)}
        for person in people:
            keys = {(kind, person[kind]) for kind in ("id", "email") if person[kind]}
            person["gone"] = True
            self.deleted[person["n"]] = self.when
            self.related = [(h, o) for h, o in self.related if h != ("person", person["n"])]
        if block:
            self.blocked.append(keys)

    def drop_object(self, message):
        """Delete an object and its relationships."""
        key = ("1", message["properties"]["objectId"])
        self.objects = [object_key for object_key in self.objects if object_key != key]
        self.related = [
            (holder, object_key) for holder, object_key in self.related if object_key != key
        ]

    def group(self, message):
        """Add an object, and relate somebody to it."""
        user, visitor = message.get("userId"), message.get("anonymousId")
        if user and self.is_blocked(self.kind(user), user):
            return
        key = ("1", message["groupId"])
        if key not in self.objects:
            self.objects.append(key)
        holder = None
        if user:
            people = self.holders(self.kind(user), user)
            person = people[0] if people else self.add(**{self.kind(user): user})
            holder = ("person", person["n"])
        elif visitor:
            owner = self.heir(visitor)
            holder = ("visitor", visitor) if owner is None else ("person", owner)
        if holder is not None and (holder, key) not in self.related:
            self.related.append((holder, key))

    def heir(self, visitor):
        """Return who has a visitor now, if that person is there."""
        if visitor not in self.links:
            return None
        n = self.links[visitor][1]
        for _, removed, kept in self.merges:
            n = kept if n == removed else n
        return None if self.people[n]["gone"] else n

    def owner(self, event):
        """Return whose an event is in the end: a person, "lost", or None."""
        when, n, visitor, at, _ = event
        since = when
        if n is None:
            if visitor not in self.links or not self.settings.anonymous_merge:
                return None
            linked, n = self.links[visitor]
            since = max(when, linked)
            if when > linked and not self.was_there(visitor, when):
                return None
        for moment, removed, kept in self.merges:
            if n == removed and moment < since:
                n = kept  # the event came when they were one already
            elif n == removed:
                if NOW.timestamp() - at > 29 * DAY and self.settings.merged_events == "recent":
                    return "lost"  # else it follows later
                n = kept
        return "lost" if self.people[n]["gone"] else n

    def was_there(self, visitor, when):
        """Tell whether the person of a visitor was there at a time."""
        n = self.links[visitor][1]
        for moment, removed, kept in self.merges:
            if n == removed and moment <= when:
                n = kept
        return self.deleted.get(n, when + 1) > when

    def state(self):
        """Return everything that is compared."""
        names = {p["n"]: (p["id"], p["email"]) for p in self.people if not p["gone"]}
        events = Counter()
        for event in self.log:
            owner = self.owner(event)
            if owner != "lost":
                events[names.get(owner, event[2]), event[4]] += 1
        visitors = Counter(
            (names[self.heir(visitor)], visitor)
            for visitor in self.links
            if self.heir(visitor) is not None
        )
        related = Counter(
            (names[who] if what == "person" else who, key) for (what, who), key in self.related
        )
        return (
            Counter(names.values()), events, visitors, set(self.objects), related, len(self.merges),
        )  # fmt: skip


def modelled(stream, settings):
    """Return the state of the model after a stream, in the same terms."""
    model = Model(settings)
    for message in stream:
        at = datetime.fromtimestamp(message["at"], tz=UTC).isoformat()
        model.apply({**message, "timestamp": at}, received_at=NOW)
    names = {row["cio_id"]: (row["id"], row["email"]) for row in model.people()}
    events = Counter(
        (names[row["person"]] if row["person"] else row["anonymous_id"], row["name"])
        for row in model.events()
    )
    visitors = Counter(
        (names[row["cio_id"]], visitor)
        for row in model.people()
        for visitor in row["anonymous_ids"]
    )
    related = Counter(
        (
            names[row["person"]] if row["person"] else row["anonymous_id"],
            (row["object_type_id"], row["object_id"]),
        )
        for row in model.relationships()
    )
    objects = {(row["object_type_id"], row["object_id"]) for row in model.objects()}
    return Counter(names.values()), events, visitors, objects, related, len(model.merges())


def random_stream(seed):
    """Return settings and messages that meet each other often."""
    dice = random.Random(seed)
    users = [None, *(f"u{n}" for n in range(4)), *(f"m{n}@x.co" for n in range(3)), "M0@x.co"]
    visitors = [None, None, "v0", "v1", "v2"]
    names = ["View"] * 6 + ["User Deleted", "Object Deleted", "Relationship Deleted"]
    names += ["User Suppressed", "User Unsuppressed"] * (seed % 3 == 0)
    stream = []
    for _ in range(dice.randrange(1, 30)):
        message = {
            "type": dice.choice(["identify", "identify", "alias", "track", "track", "group"]),
            "userId": dice.choice(users),
            "anonymousId": dice.choice(visitors),
            "at": int((NOW - timedelta(days=dice.choice([1, 20, 45]))).timestamp()),
        }
        if message["type"] == "identify":
            user = message["userId"]
            mails = [user] if user and "@" in user else [None, "m0@x.co", "m1@x.co", "m2@x.co"]
            message["traits"] = {"email": dice.choice(mails)}
        elif message["type"] == "alias":
            message["previousId"] = dice.choice(users)
        elif message["type"] == "track":
            message["event"] = dice.choice(names)
            message["properties"] = {"objectId": dice.choice(["g1", "g2"])}
        else:
            message["groupId"] = dice.choice(["g1", "g2"])
        stream.append(message)
    settings = Settings(
        auto_merge=dice.random() < 0.7,
        anonymous_merge=dice.random() < 0.8,
        email_updates=dice.random() < 0.3,
        taken_identifier=dice.choice(["rekey", "rekey", "separate"]),
        merged_events=dice.choice(["all", "recent"]),
    )
    return settings, stream


@pytest.mark.parametrize("block", range(8))
def test_the_model_does_what_a_naive_one_does(block):
    """Over random streams, both models end with the same people, events, objects and merges."""
    for seed in range(block, STREAMS, 8):
        settings, stream = random_stream(seed)

        oracle = Oracle(settings)
        for message in stream:
            oracle.apply(message)

        assert modelled(stream, settings) == oracle.state(), f"seed {seed}: {settings} {stream}"


def test_the_streams_are_worth_comparing():
    """The random streams merge, delete, link and lose: they are not empty talk."""
    totals = Counter()
    for seed in range(400):
        settings, stream = random_stream(seed)
        oracle = Oracle(settings)
        for message in stream:
            oracle.apply(message)
        totals.update(
            merges=len(oracle.merges), deletes=len(oracle.deleted), links=len(oracle.links),
            lost=sum(oracle.owner(event) == "lost" for event in oracle.log),
            related=len(oracle.related),
        )  # fmt: skip

    assert all(totals[name] > 50 for name in ("merges", "deletes", "links", "lost", "related")), (
        totals
    )
