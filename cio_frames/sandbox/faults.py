"""Which request gets which fault, as a pure function of a seed and the request's number."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Literal

from cio_frames.errors import SandboxError

Ending = Literal["complete", "reset", "cut", "drip"]
"""How a response arrives: complete, not at all, cut off, or byte by byte."""

FaultProfile = Literal[
    "none", "flaky", "storm", "outage", "slow", "echo", "permissive-loss", "revoked-key"
]
"""The names of `PROFILES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        times_applied: How often the messages of the request are applied.
        ending: How the response arrives.
        statuses: The status codes that replace the true one; one of them is drawn.
        has_wait: Whether the response has a `Retry-After`.
        is_delayed: Whether the request waits first, so that later ones overtake it.
        hidden: Whether only strict mode shows it; without it the response is 200.
    """

    times_applied: int = 0
    ending: Ending = "complete"
    statuses: tuple[int, ...] = ()
    has_wait: bool = False
    is_delayed: bool = False
    hidden: bool = False


KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "late": FaultKind(times_applied=1, is_delayed=True),
        "doubled": FaultKind(times_applied=2),
        "throttled": FaultKind(statuses=(429,)),
        "throttled_with_wait": FaultKind(statuses=(429,), has_wait=True),
        "failed": FaultKind(statuses=(500, 502, 503, 504)),
        "failed_after": FaultKind(times_applied=1, statuses=(500, 502, 503, 504)),
        "reset_before": FaultKind(ending="reset"),
        "reset_after": FaultKind(times_applied=1, ending="reset"),
        "truncated": FaultKind(times_applied=1, ending="cut"),
        "dripping": FaultKind(times_applied=1, ending="drip"),
        "dropped": FaultKind(statuses=(429,), hidden=True),
        "unauthorized": FaultKind(statuses=(401,)),
        "too_large": FaultKind(statuses=(413,)),
    }
)
"""Every kind of fault, by the name of its share in `Faults`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The fault of one request.

    Attributes:
        name: Its kind, a key of `KINDS`.
        status: The status code that replaces the true one, if any.
        hold_s: Seconds by which the request is delayed.
        wait_s: The seconds in `Retry-After`, if there is one.
        drip_s: Seconds over which the response drips.
        cut_at: Where the response is cut off, as a share of its bytes.
    """

    name: str
    status: int | None = None
    hold_s: float = 0.0
    wait_s: float | None = None
    drip_s: float = 0.0
    cut_at: float = 0.0

    @property
    def kind(self) -> FaultKind:
        """The kind of this fault."""
        return KINDS[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How frequent each kind of fault is. The same seed gives the same faults again.

    The first 13 arguments are shares of the requests, from 0 to 1, together at most 1.

    Args:
        late: Delayed by up to `hold_s`, so that later requests overtake it.
        doubled: Applied twice.
        throttled: Answered 429, not applied.
        throttled_with_wait: The same, with a `Retry-After` of `wait_s`.
        failed: Answered 500, 502, 503 or 504, not applied.
        failed_after: The same, but applied.
        reset_before: The connection is reset, nothing is applied.
        reset_after: The connection is reset after the messages were applied.
        truncated: Applied; the response is cut off anywhere.
        dripping: Applied; the response arrives byte by byte within `drip_s`.
        dropped: Discarded and answered 200; with strict mode answered 429. The documentation
            says that too many requests may lead to either (reference 1.5).
        unauthorized: Answered 401, as when a key is revoked.
        too_large: Answered 413, whatever the size.
        seed: Decides what happens to which request.
        burst: How many requests in a row have the same fault.
        first: Number of the first request that may have a fault.
        last: Number of the last one; None for no end.
        hold_s: The longest delay of a request.
        wait_s: The seconds in `Retry-After`.
        drip_s: How long a response drips.

    Raises:
        SandboxError: A share is negative, or they add up to more than 1.

    Examples:
        >>> Faults(failed=1.0, first=2).fault_for(1) is None
        True
        >>> fault = Faults(throttled_with_wait=1.0).fault_for(1)
        >>> fault.status, fault.wait_s
        (429, 1.0)
    """

    late: float = 0.0
    doubled: float = 0.0
    throttled: float = 0.0
    throttled_with_wait: float = 0.0
    failed: float = 0.0
    failed_after: float = 0.0
    reset_before: float = 0.0
    reset_after: float = 0.0
    truncated: float = 0.0
    dripping: float = 0.0
    dropped: float = 0.0
    unauthorized: float = 0.0
    too_large: float = 0.0
    seed: int = 0
    burst: int = 1
    first: int = 1
    last: int | None = None
    hold_s: float = 0.05
    wait_s: float = 1.0
    drip_s: float = 2.0

    def __post_init__(self) -> None:
        shares = [getattr(self, name) for name in KINDS]
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise SandboxError(
                f"The shares of faults add up to {sum(shares):g}. Each is from 0 to 1, and so is "
                "their sum."
            )

    def fault_for(self, number: int) -> Fault | None:
        """Return the fault of a request, numbered from 1; None for no fault."""
        if number < self.first or (self.last is not None and number > self.last):
            return None
        drawn, _ = _draws(self.seed, number // self.burst)
        for name in KINDS:
            share: float = getattr(self, name)
            if drawn < share:
                return self._fault(name, number)
            drawn -= share
        return None

    def _fault(self, name: str, number: int) -> Fault:
        """Return a fault of a kind, with details drawn for this request."""
        kind = KINDS[name]
        share, cut_at = _draws(self.seed, -number)
        return Fault(
            name=name,
            status=kind.statuses[int(share * len(kind.statuses))] if kind.statuses else None,
            hold_s=self.hold_s * share if kind.is_delayed else 0.0,
            wait_s=self.wait_s if kind.has_wait else None,
            drip_s=self.drip_s if kind.ending == "drip" else 0.0,
            cut_at=cut_at if kind.ending == "cut" else 0.0,
        )


PROFILES: Mapping[str, Faults] = MappingProxyType(
    {
        "none": Faults(),
        "flaky": Faults(
            late=0.10, doubled=0.02, throttled=0.04, throttled_with_wait=0.01, failed=0.04,
            failed_after=0.02, reset_before=0.02, reset_after=0.02, truncated=0.02, dripping=0.01,
        ),
        "storm": Faults(throttled=0.30, throttled_with_wait=0.10, burst=10),
        "outage": Faults(failed=0.6, reset_before=0.4, first=5, last=16),
        "slow": Faults(late=0.60, dripping=0.05, hold_s=0.5),
        "echo": Faults(doubled=0.30, late=0.30),
        "permissive-loss": Faults(dropped=0.10),
        "revoked-key": Faults(unauthorized=1.0, first=5),
    }
)  # fmt: skip
"""The faults of each profile."""


def resolve_faults(faults: FaultProfile | Faults, *, seed: int | None = None) -> Faults:
    """Return the faults of a profile, or the given ones, with another seed if one is given.

    Raises:
        SandboxError: There is no such name.

    Examples:
        >>> resolve_faults("flaky", seed=7).seed
        7
    """
    if isinstance(faults, str):
        if faults not in PROFILES:
            raise SandboxError(
                f"{faults!r} is not a fault profile. Available: {', '.join(PROFILES)}; or "
                "pass cio.Faults(...)."
            )
        faults = PROFILES[faults]
    return faults if seed is None else replace(faults, seed=seed)


def _draws(seed: int, number: int) -> tuple[float, float]:
    """Return two numbers from 0 up to 1 that depend on the arguments alone."""
    digest = blake2b(f"{seed} {number}".encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
    return first / 2**64, second / 2**64
