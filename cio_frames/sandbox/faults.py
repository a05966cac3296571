"""Bad weather: which request meets which trouble, as a pure function of a seed and its number."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Literal

from cio_frames.errors import SandboxError

Way = Literal["answer", "reset", "cut", "drip"]
"""How an answer ends: whole, never, in the middle, or byte by byte."""

FaultProfile = Literal[
    "none", "flaky", "storm", "outage", "slow", "echo", "permissive-loss", "revoked-key"
]
"""The names of `PROFILES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of trouble.

    Attributes:
        times: How often the messages of the request are applied.
        way: How the answer ends.
        statuses: What is answered in place of the true answer; one of them is drawn.
        waits: Whether the answer has a `Retry-After`.
        held: Whether the request is held back first, so that later ones overtake it.
        hidden: Whether only strict mode tells; without it the answer is 200.
    """

    times: int = 0
    way: Way = "answer"
    statuses: tuple[int, ...] = ()
    waits: bool = False
    held: bool = False
    hidden: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "late": Kind(times=1, held=True),
        "doubled": Kind(times=2),
        "throttled": Kind(statuses=(429,)),
        "throttled_with_wait": Kind(statuses=(429,), waits=True),
        "failed": Kind(statuses=(500, 502, 503, 504)),
        "failed_after": Kind(times=1, statuses=(500, 502, 503, 504)),
        "reset_before": Kind(way="reset"),
        "reset_after": Kind(times=1, way="reset"),
        "truncated": Kind(times=1, way="cut"),
        "dripping": Kind(times=1, way="drip"),
        "dropped": Kind(statuses=(429,), hidden=True),
        "unauthorized": Kind(statuses=(401,)),
        "too_large": Kind(statuses=(413,)),
    }
)
"""Every kind of trouble, by the name of its share in `Faults`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one request.

    Attributes:
        name: Its kind, a key of `KINDS`.
        status: What is answered in place of the true answer, if anything.
        hold_s: Seconds that the request is held back.
        wait_s: What `Retry-After` asks for, if it is there.
        drip_s: Seconds over which the answer drips.
        place: Where the answer is cut off, as a share of its bytes.
    """

    name: str
    status: int | None = None
    hold_s: float = 0.0
    wait_s: float | None = None
    drip_s: float = 0.0
    place: float = 0.0

    @property
    def kind(self) -> Kind:
        """What its kind does."""
        return KINDS[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How much of each kind of trouble there is. The same seed gives the same trouble again.

    The first 13 arguments are shares of the requests, from 0 to 1, together at most 1.

    Args:
        late: Held back for up to `hold_s`, so that later requests overtake it.
        doubled: Applied twice.
        throttled: Answered 429, not applied.
        throttled_with_wait: The same, with a `Retry-After` of `wait_s`.
        failed: Answered 500, 502, 503 or 504, not applied.
        failed_after: The same, and applied all the same.
        reset_before: The connection is reset, nothing is applied.
        reset_after: The connection is reset after the messages were applied.
        truncated: Applied; the answer breaks off anywhere.
        dripping: Applied; the answer drips byte by byte for `drip_s`.
        dropped: Thrown away and answered 200; with strict mode answered 429. The documentation
            says that too many requests may lead to either (reference 1.5).
        unauthorized: Answered 401, as when a key is revoked.
        too_large: Answered 413, whatever the size.
        seed: Decides what happens to which request.
        burst: How many requests in a row have the same fate.
        first: Number of the first request that may meet trouble.
        last: Number of the last one; None for no end.
        hold_s: The longest time that a request is held back.
        wait_s: What `Retry-After` asks for.
        drip_s: How long an answer drips.

    Raises:
        SandboxError: The shares are not shares.

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
        """Return what happens to the request of that number, counted from 1; None for nothing."""
        if number < self.first or (self.last is not None and number > self.last):
            return None
        fate, _ = _draws(self.seed, number // self.burst)
        for name in KINDS:
            share: float = getattr(self, name)
            if fate < share:
                return self._fault(name, number)
            fate -= share
        return None

    def _fault(self, name: str, number: int) -> Fault:
        """Return a fault of that kind, its details drawn for that very request."""
        kind = KINDS[name]
        share, place = _draws(self.seed, -number)
        return Fault(
            name=name,
            status=kind.statuses[int(share * len(kind.statuses))] if kind.statuses else None,
            hold_s=self.hold_s * share if kind.held else 0.0,
            wait_s=self.wait_s if kind.waits else None,
            drip_s=self.drip_s if kind.way == "drip" else 0.0,
            place=place if kind.way == "cut" else 0.0,
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
"""Weather by name."""


def weather(faults: FaultProfile | Faults, *, seed: int | None = None) -> Faults:
    """Return faults by name or as they are given, with another seed if there is one.

    Raises:
        SandboxError: There is no such name.

    Examples:
        >>> weather("flaky", seed=7).seed
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
    """Return two numbers from 0 up to 1 that depend on nothing else."""
    drawn = blake2b(f"{seed} {number}".encode(), digest_size=16).digest()
    first, second = int.from_bytes(drawn[:8]), int.from_bytes(drawn[8:])
    return first / 2**64, second / 2**64
