"""One sender at a time for each partition, even if Spark starts a task twice or believes it dead.

An attempt at a partition has a claim: an object on the shared store with a number, the epoch, that it
renews about once a second by counting up. A later attempt waits until the count of every earlier one
has not changed for the time of a lease, by its own clock, and then claims a higher epoch. An attempt that
sees a higher claim stops; one that could not renew for half the time of a lease sends nothing. Clocks of
different machines are never compared; they only have to run about equally fast.

A claimant writes its claim and then looks at the counts of the others; a holder writes its count and
then looks for higher claims. So one of the two always sees the other.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import msgspec

from cio_frames.audit.file_system import FileSystem, write_atomic

LEASE_S = 10.0
"""After this many seconds without a new count an attempt counts as dead."""

RENEW_S = 1.0
"""Seconds between renewals of a claim, and between readings of others."""

DIRECTORY = "alive"
"""The directory of claims in the directory of a run."""


_NAME = re.compile(r"(\w+)-(\d{6,}-\w+)")
_UNREADABLE = -1


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A claim to a partition. The highest one is valid.

    Examples:
        >>> Claim.named("000002-k3f9q2") > Claim(1, "zzzzzz")
        True
    """

    epoch: int
    token: str

    @property
    def name(self) -> str:
        """The name of the claim; names sort like claims."""
        return f"{self.epoch:06d}-{self.token}"

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the claim of a name."""
        epoch, token = name.split("-")
        return cls(int(epoch), token)


class Renewal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The contents of a claim.

    Attributes:
        counter: Goes up with each renewal.
        ended: Whether its attempt has ended, and sends no more.
        counts: Rows of the partition in each state, requests, retries and bytes.
        throttled: How often Customer.io asked this attempt to slow down.
        pause_s: The seconds of its last request to pause.
        stopped: Why the attempt ended early, as a code and a sentence.
    """

    counter: int
    ended: bool = False
    counts: dict[str, int] = {}
    throttled: int = 0
    pause_s: float = 0.0
    stopped: tuple[str, str] | None = None


State = Literal["watching", "claimed", "held", "lost"]
Step = Literal["wait", "claim", "withdraw", "hold", "stop"]


@dataclass(slots=True, kw_only=True)
class LeaseRules:
    """Decides the next step from the claims of others. It reads no store and no clock.

    Attributes:
        token: Identifies this attempt.
        lease_s: The time of a lease.
        last_epoch: The highest epoch of attempts whose claims are gone.
    """

    token: str
    lease_s: float = LEASE_S
    last_epoch: int = 0
    state: State = "watching"
    claim: Claim | None = None
    _seen: dict[Claim, tuple[int, float]] = field(default_factory=dict)  # count, since when
    _renewed_at: float = 0.0

    def look(self, others: Mapping[Claim, Renewal], *, now: float, began: float) -> Step:
        """Return the next step.

        Args:
            others: The claims of others, read after the own one was written.
            now: The time now.
            began: The time before the own claim was written.
        """
        if self.state == "lost":
            return "stop"
        must_wait = self._must_wait(others, now=now)
        if self.claim is None:
            return "wait" if must_wait else self._make_claim(others)
        if any(other > self.claim for other in others if not others[other].ended):
            return self._give_way()
        if self.state == "claimed" and must_wait:
            return "wait"
        self.state, self._renewed_at = "held", began
        return "hold"

    def _make_claim(self, others: Mapping[Claim, Renewal]) -> Step:
        epochs = (claim.epoch for claim in others)
        self.claim = Claim(1 + max(self.last_epoch, *epochs, 0), self.token)
        self.state = "claimed"
        return "claim"

    def _give_way(self) -> Step:
        """Give way to a higher claim."""
        if self.state == "held":
            self.state = "lost"
            return "stop"
        self.claim, self.state = None, "watching"
        return "withdraw"

    def may_send(self, now: float) -> bool:
        """Return whether a request may be sent: no other attempt can have taken over yet."""
        return self.state == "held" and now - self._renewed_at < self.lease_s / 2

    def end(self) -> None:
        """Forbid all further requests."""
        self.state = "lost"

    def _must_wait(self, others: Mapping[Claim, Renewal], *, now: float) -> bool:
        """Store the counts, and return whether another attempt may still be alive."""
        seen = {}
        for claim, renewal in others.items():
            if renewal.ended:
                continue
            count, since = self._seen.get(claim, (None, now))
            seen[claim] = (renewal.counter, since if count == renewal.counter else now)
        self._seen = seen
        return any(now - since < self.lease_s for _, since in seen.values())


class Lease:
    """The claim of an attempt on the shared store.

    Args:
        disk: The shared store.
        run: The directory of the run.
        scope: What is claimed, such as the number of a partition.
        last_epoch: Returns the highest epoch of attempts, including those whose claims are gone.
        lease_s: The time of a lease.
        renewal: Returns the contents of the next renewal, without its count.
        monotonic: A clock.
        sleep: Waits.
    """

    def __init__(
        self,
        disk: FileSystem,
        run: Path,
        *,
        scope: str,
        last_epoch: Callable[[], int] = lambda: 0,
        lease_s: float = LEASE_S,
        renewal: Callable[[], Renewal] = lambda: Renewal(counter=0),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._disk = disk
        self._place = run / DIRECTORY
        self._scope = scope
        self._new_renewal = renewal
        self._monotonic = monotonic
        self._sleep = sleep
        self._counter = 0
        self._rules = LeaseRules(token=secrets.token_hex(4), lease_s=lease_s)
        self._last_epoch = last_epoch
        self.renew_s: float = min(RENEW_S, lease_s / 8)

    @property
    def claim(self) -> Claim:
        """The claim, once it was made."""
        assert self._rules.claim is not None, "acquire() makes a claim."  # noqa: S101
        return self._rules.claim

    @property
    def is_lost(self) -> bool:
        """Whether another attempt has taken over."""
        return self._rules.state == "lost"

    @property
    def name(self) -> str:
        """The name of the claim among those of all scopes."""
        return f"{self._scope}-{self.claim.name}"

    def acquire(self, *, still_wanted: Callable[[], bool] = lambda: True) -> bool:
        """Wait until no other attempt can send, then hold the claim; return False if no longer wanted."""
        self._disk.make(self._place, shared=True)
        while still_wanted():
            step = self._cycle()
            if step == "hold":
                return True
            if step != "claim":
                self._sleep(self.renew_s)
        return False

    def renew(self) -> bool:
        """Renew the claim; return whether it is still held. Failures of the store are ignored."""
        if not self.is_lost:
            with suppress(OSError):
                self._cycle()
        return not self.is_lost

    def may_send(self) -> bool:
        """Return whether a request may be sent."""
        return self._rules.may_send(self._monotonic())

    def end(self) -> None:
        """Write that this attempt has ended, so that a later one need not wait."""
        if self._rules.claim is None:
            return
        self._rules.end()
        with suppress(OSError):
            self._write(msgspec.structs.replace(self._new_renewal(), ended=True))

    def _cycle(self) -> Step:
        began = self._monotonic()
        own = self._rules.claim
        if own is not None:
            self._write(self._new_renewal())
        current = claims(self._disk, self._place, scope=self._scope)
        others = {claim: renewal for claim, renewal in current.items() if claim != own}
        if own is None:
            # Read after the claims: an attempt leaves a record before it withdraws its claim.
            self._rules.last_epoch = self._last_epoch()
        step = self._rules.look(others, now=self._monotonic(), began=began)
        if step == "withdraw" and own is not None:
            self._disk.remove(self._place / f"{self._scope}-{own.name}")
        return step

    def _write(self, renewal: Renewal) -> None:
        self._counter += 1
        data = msgspec.json.encode(msgspec.structs.replace(renewal, counter=self._counter))
        write_atomic(self._disk, self._place / self.name, data)


def claims(disk: FileSystem, place: Path, *, scope: str) -> dict[Claim, Renewal]:
    """Return all claims of one scope."""
    of_scope = read_claims(disk, place, where=lambda each: each == scope)
    return {claim: renewal for (_, claim), renewal in of_scope.items()}


def read_claims(
    disk: FileSystem, place: Path, *, where: Callable[[str], bool]
) -> dict[tuple[str, Claim], Renewal]:
    """Return the claims of some scopes, by scope and claim."""
    renewals = {}
    for name in disk.listdir(place):
        parts = _NAME.fullmatch(name)
        if parts is not None and where(parts[1]):
            with suppress(FileNotFoundError):  # it has been withdrawn
                renewals[parts[1], Claim.named(parts[2])] = _read(disk, place / name)
    return renewals


def _read(disk: FileSystem, path: Path) -> Renewal:
    """Read a claim; one that is being written right now counts as changed."""
    try:
        return msgspec.json.decode(disk.read(path), type=Renewal)
    except msgspec.DecodeError:
        return Renewal(counter=_UNREADABLE)
