"""Leases: whatever happens to attempts, no two may send at the same time."""

import random
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.spark.lease import Claim, Lease, LeaseRules, Renewal, claims

LEASE_S = 8.0


class Attempt:
    """One attempt in a world of its own time: each of its steps may be the last for long."""

    def __init__(self, store: dict[Claim, Renewal], token: str) -> None:
        self.store, self.rules = store, LeaseRules(token=token, lease_s=LEASE_S)
        self.counter, self.began, self.is_written = 0, 0.0, False
        self.is_ended = False

    def step(self, now: float) -> None:
        """Write the claim, or look at those of others: one operation on the store at a time."""
        if self.is_ended or self.rules.state == "lost":
            return
        if not self.is_written:
            self.began = now
            if self.rules.claim is not None:
                self.counter += 1
                self.store[self.rules.claim] = Renewal(counter=self.counter)
            self.is_written = True
            return
        own = self.rules.claim
        others = {claim: renewal for claim, renewal in self.store.items() if claim != own}
        if self.rules.look(others, now=now, began=self.began) == "withdraw" and own is not None:
            del self.store[own]
        self.is_written = False

    def end(self) -> None:
        """End: nothing is sent any more, and others see it."""
        self.rules.end()
        self.is_ended = True
        if self.rules.claim is not None and self.rules.claim in self.store:
            self.store[self.rules.claim] = Renewal(counter=self.counter + 1, ended=True)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([0.01, 0.3, 1.0, 3.0, 5.0, 9.0]),
            st.sampled_from(["step"] * 12 + ["end"]),
        ),
        max_size=200,
    )
)
def test_no_two_may_send(history: list[tuple[int, float, str]]) -> None:
    """At no moment may two attempts send, in whatever order their steps happen and however late."""
    store: dict[Claim, Renewal] = {}
    attempts = [Attempt(store, token) for token in "abcd"]
    now = 0.0
    for who, later, what in history:
        now += later
        attempt = attempts[who]
        attempt.end() if what == "end" else attempt.step(now)
        assert sum(each.rules.may_send(now) for each in attempts) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_somebody_sends_in_the_end(seed: int) -> None:
    """Where all attempts go on, one of them holds the claim, and keeps it."""
    chance = random.Random(seed)
    store: dict[Claim, Renewal] = {}
    attempts = [Attempt(store, token) for token in "abcd"]
    now, holders = 0.0, []
    for _ in range(2_000):
        now += chance.random() / 4
        chance.choice(attempts).step(now)
        holders.append([each.rules.token for each in attempts if each.rules.may_send(now)])
    assert len(holders[-1]) == 1
    changes = sum(one != other for one, other in pairwise(who for who in holders if who))
    assert changes <= 1  # of those that begin at the same moment the lower one gives way


def test_a_live_attempt_is_not_disturbed() -> None:
    """A second attempt claims nothing while the first one counts up."""
    rules = LeaseRules(token="b", lease_s=LEASE_S)
    for second in range(100):
        others = {Claim(1, "a"): Renewal(counter=second)}
        assert rules.look(others, now=float(second), began=float(second)) == "wait"


def test_a_lease_on_a_disk(tmp_path: Path) -> None:
    """A later attempt takes over if an earlier one is not renewed; the earlier one sees it, and the end of another."""
    now = [0.0]

    def slept(seconds: float) -> None:
        now[0] += seconds

    def lease() -> Lease:
        return Lease(
            LocalFileSystem("process"), tmp_path, scope="000001", lease_s=LEASE_S,
            monotonic=lambda: now[0], sleep=slept,
        )  # fmt: skip

    first, second, third = lease(), lease(), lease()
    assert first.acquire()
    assert first.may_send()
    assert second.acquire()
    assert now[0] >= LEASE_S
    assert not first.may_send()
    assert second.may_send()
    assert not first.renew()
    assert first.is_lost
    second.end()
    before = now[0]
    assert third.acquire()
    assert now[0] == before or first.claim in claims(
        LocalFileSystem(), tmp_path / "alive", scope="000001"
    )
    assert third.claim.epoch == 3


def test_other_files_are_no_claims(tmp_path: Path) -> None:
    """Files with other names are ignored, and a claim that is half written counts as one that has changed."""
    for name in ("000001-000001-a.tmp", ".nfs0001", "000002-000001-b", "000001-000004-c"):
        (tmp_path / name).write_bytes(b"{")
    read = claims(LocalFileSystem(), tmp_path, scope="000001")
    assert read == {Claim(4, "c"): Renewal(counter=-1)}


def test_a_renewal_is_small_and_can_be_read() -> None:
    """Fields with their defaults are not written."""
    renewal = Renewal(counter=3)
    assert msgspec.json.decode(msgspec.json.encode(renewal), type=Renewal) == renewal
    assert len(msgspec.json.encode(renewal)) < 30
