"""One sender at a time for each partition, whatever Spark starts twice or takes for dead.

An attempt at a partition has a claim: an object on the shared store with a number, the epoch, that it
renews about once a second by counting up. A later attempt waits until the count of every earlier one
has stood still for the time of a lease, by its own clock, and then claims a higher epoch. Who sees a
higher claim stops; who could not renew for half the time of a lease lets nothing leave. No clocks of
two machines are compared; they only have to run about equally fast.

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
"""How long a count must have stood still until its attempt counts as dead."""

RENEW_S = 1.0
"""How often a claim is renewed, and how often others look at it."""

DIRECTORY = "alive"
"""Where in the directory of a run the claims are."""


_NAME = re.compile(r"(\w+)-(\d{6,}-\w+)")
_UNREADABLE = -1


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """Who wants a partition, or has it. The higher one has the right to it.

    Examples:
        >>> Claim.named("000002-k3f9q2") > Claim(1, "zzzzzz")
        True
    """

    epoch: int
    token: str

    @property
    def name(self) -> str:
        """The claim as a name that sorts as claims do."""
        return f"{self.epoch:06d}-{self.token}"

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the claim of a name."""
        epoch, token = name.split("-")
        return cls(int(epoch), token)


class Renewal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands in a claim.

    Attributes:
        counter: Goes up with each renewal.
        ended: Whether its attempt has ended, and sends no more.
        counts: Rows of the partition in each state, requests, retries and bytes.
        throttled: How often Customer.io has asked this attempt to slow down.
        pause_s: Seconds for which it asked last.
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
    """Decides what follows from what others wrote. Knows no store, and no clock but the times it is told.

    Attributes:
        token: What tells this attempt from others.
        lease_s: The time of a lease.
        known: The highest epoch of attempts that have no claim any more.
    """

    token: str
    lease_s: float = LEASE_S
    known: int = 0
    state: State = "watching"
    claim: Claim | None = None
    _seen: dict[Claim, tuple[int, float]] = field(default_factory=dict)  # count, since when
    _renewed_at: float = 0.0

    def look(self, others: Mapping[Claim, Renewal], *, now: float, began: float) -> Step:
        """Return what to do.

        Args:
            others: The claims of others, as they were read after the own one was written.
            now: The time now.
            began: The time before the own claim was written.
        """
        if self.state == "lost":
            return "stop"
        is_blocked = self._is_blocked(others, now=now)
        if self.claim is None:
            return "wait" if is_blocked else self._claimed(others)
        if any(other > self.claim for other in others if not others[other].ended):
            return self._yielded()
        if self.state == "claimed" and is_blocked:
            return "wait"
        self.state, self._renewed_at = "held", began
        return "hold"

    def _claimed(self, others: Mapping[Claim, Renewal]) -> Step:
        epochs = (claim.epoch for claim in others)
        self.claim = Claim(1 + max(self.known, *epochs, 0), self.token)
        self.state = "claimed"
        return "claim"

    def _yielded(self) -> Step:
        """Give way to a higher claim."""
        if self.state == "held":
            self.state = "lost"
            return "stop"
        self.claim, self.state = None, "watching"
        return "withdraw"

    def may_send(self, now: float) -> bool:
        """Tell whether a request may leave: nobody else can have taken over yet."""
        return self.state == "held" and now - self._renewed_at < self.lease_s / 2

    def end(self) -> None:
        """Let nothing leave any more."""
        self.state = "lost"

    def _is_blocked(self, others: Mapping[Claim, Renewal], *, now: float) -> bool:
        """Take note of all counts, and tell whether one of another attempt may still go up."""
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
        known: Gives the highest epoch of attempts, of which some may have no claim any more.
        lease_s: The time of a lease.
        tell: Gives what a renewal tells besides its count.
        monotonic: A clock.
        sleep: Waits.
    """

    def __init__(
        self,
        disk: FileSystem,
        run: Path,
        *,
        scope: str,
        known: Callable[[], int] = lambda: 0,
        lease_s: float = LEASE_S,
        tell: Callable[[], Renewal] = lambda: Renewal(counter=0),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._disk = disk
        self._place = run / DIRECTORY
        self._scope = scope
        self._tell = tell
        self._monotonic = monotonic
        self._sleep = sleep
        self._counter = 0
        self._rules = LeaseRules(token=secrets.token_hex(4), lease_s=lease_s)
        self._known = known
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
        """Wait until nobody else can send, and hold the claim; returns whether it was still wanted."""
        self._disk.make(self._place, shared=True)
        while still_wanted():
            step = self._cycle()
            if step == "hold":
                return True
            if step != "claim":
                self._sleep(self.renew_s)
        return False

    def renew(self) -> bool:
        """Renew the claim; returns whether it is still held. A store that fails says nothing."""
        if not self.is_lost:
            with suppress(OSError):
                self._cycle()
        return not self.is_lost

    def may_send(self) -> bool:
        """Tell whether a request may leave."""
        return self._rules.may_send(self._monotonic())

    def end(self) -> None:
        """Say that this attempt sends no more, so that a later one need not wait."""
        if self._rules.claim is None:
            return
        self._rules.end()
        with suppress(OSError):
            self._write(msgspec.structs.replace(self._tell(), ended=True))

    def _cycle(self) -> Step:
        began = self._monotonic()
        own = self._rules.claim
        if own is not None:
            self._write(self._tell())
        found = claims(self._disk, self._place, scope=self._scope)
        others = {claim: told for claim, told in found.items() if claim != own}
        if own is None:  # asked after the claims: who has taken one back has left a record before
            self._rules.known = self._known()
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
    found = read_claims(disk, place, where=lambda each: each == scope)
    return {claim: told for (_, claim), told in found.items()}


def read_claims(
    disk: FileSystem, place: Path, *, where: Callable[[str], bool]
) -> dict[tuple[str, Claim], Renewal]:
    """Return the claims of some scopes, by scope and claim."""
    found = {}
    for name in disk.listdir(place):
        parts = _NAME.fullmatch(name)
        if parts is not None and where(parts[1]):
            with suppress(FileNotFoundError):  # it was withdrawn since
                found[parts[1], Claim.named(parts[2])] = _read(disk, place / name)
    return found


def _read(disk: FileSystem, path: Path) -> Renewal:
    """Return what stands in a claim; what is being written at the moment counts as another count."""
    try:
        return msgspec.json.decode(disk.read(path), type=Renewal)
    except msgspec.DecodeError:
        return Renewal(counter=_UNREADABLE)
