"""Faults: the same seed gives the same faults, and they have their effect over real HTTP."""

import asyncio
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.errors import SandboxError
from cio_frames.sandbox import PROFILES, Faults, Sandbox
from cio_frames.sandbox.faults import KINDS, resolve_faults

NUMBERS = st.integers(min_value=1, max_value=10**9)
SEEDS = st.integers(min_value=0, max_value=2**64)
EVENT = {"userId": "u1", "event": "x", "messageId": "m1"}


def track(sandbox: Sandbox, *, strict: bool = True, timeout: float = 60.0) -> httpx.Response:
    """Send one event over a connection of its own."""
    headers = {"X-Strict-Mode": "1"} if strict else {}
    with httpx.Client(trust_env=False, timeout=timeout) as http:
        return http.post(
            f"{sandbox.url}/v1/track", json=EVENT, auth=(sandbox.write_key, ""), headers=headers
        )


@given(seed=SEEDS, number=NUMBERS, profile=st.sampled_from(sorted(PROFILES)))
def test_a_fault_depends_on_seed_and_number_alone(seed, number, profile):
    """Two sets of faults that are equal give the same fault for a number, in any order."""
    one, two = resolve_faults(profile, seed=seed), resolve_faults(profile, seed=seed)
    two.fault_for(number + 1)

    assert one.fault_for(number) == two.fault_for(number)


@given(seed=st.integers(0, 2**32))
def test_shares_are_kept(seed):
    """Among 4,000 requests each kind has its share, within what chance allows."""
    faults = resolve_faults("flaky", seed=seed)
    found = Counter(fault.name for number in range(1, 4_001) if (fault := faults.fault_for(number)))
    for name in KINDS:
        share = getattr(faults, name)
        assert abs(found[name] - 4_000 * share) <= 6 * (4_000 * share * (1 - share)) ** 0.5 + 1


def test_seeds_differ():
    """Another seed gives other faults."""
    histories = {
        tuple(resolve_faults("flaky", seed=seed).fault_for(number) for number in range(1, 100))
        for seed in range(50)
    }
    assert len(histories) == 50


@given(seed=SEEDS, block=st.integers(0, 10**6))
def test_requests_of_a_burst_have_the_same_kind_of_fault(seed, block):
    """All requests of a burst have the same kind of fault."""
    storm = resolve_faults("storm", seed=seed)
    faults = [storm.fault_for(block * storm.burst + at) for at in range(storm.burst)]
    assert len({fault and fault.name for fault in faults[1:]}) == 1


def test_trouble_keeps_to_its_time():
    """Before `first` and after `last` nothing happens."""
    faults = Faults(failed=1.0, first=3, last=5)
    assert [bool(faults.fault_for(number)) for number in range(1, 8)] == [
        False, False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("shares", [{"failed": 0.7, "late": 0.4}, {"late": -0.1}], ids=str)
def test_invalid_shares_are_an_error(shares):
    """A negative share, or a sum above 1, is an error."""
    with pytest.raises(SandboxError, match="shares of faults"):
        Faults(**shares)


def test_an_unknown_profile_is_an_error_with_the_known_ones():
    """A typing error in the name of a profile lists the profiles."""
    with pytest.raises(SandboxError, match=r"'flakey' is not a fault profile.*flaky, storm"):
        Sandbox(faults="flakey")


# kind, strict: status seen or the error, how often the event is applied, reason in the log
OUTCOMES = {
    "late": ("late", 200, 1, None),
    "doubled": ("doubled", 200, 2, None),
    "throttled": ("throttled", 429, 0, "fault.throttled"),
    "throttled-with-wait": ("throttled_with_wait", 429, 0, "fault.throttled_with_wait"),
    "failed": ("failed", "5xx", 0, "fault.failed"),
    "failed-after": ("failed_after", "5xx", 1, None),
    "reset-before": ("reset_before", httpx.NetworkError, 0, "fault.reset_before"),
    "reset-after": ("reset_after", httpx.NetworkError, 1, None),
    "truncated": ("truncated", httpx.RemoteProtocolError, 1, None),
    "dripping": ("dripping", 200, 1, None),
    "dropped": ("dropped", 429, 0, "fault.dropped"),
    "unauthorized": ("unauthorized", 401, 0, "fault.unauthorized"),
    "too-large": ("too_large", 413, 0, "fault.too_large"),
}


def test_every_kind_has_its_outcome():
    """The table of outcomes leaves no kind out."""
    assert {row[0] for row in OUTCOMES.values()} == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "seen", "applied", "reason"), list(OUTCOMES.values()), ids=list(OUTCOMES)
)
def test_each_kind_has_its_effect_over_real_http(kind, seen, applied, reason):
    """What the sender sees, and what the workspace has afterwards."""
    with Sandbox(faults=Faults(**{kind: 1.0}, drip_s=0.2)) as sandbox:
        if isinstance(seen, type):
            with pytest.raises(seen):
                track(sandbox)
        else:
            answer = track(sandbox)
            assert answer.status_code == seen or (seen == "5xx" and answer.is_server_error)
        log = sandbox.messages

    assert log.filter(log["reason"].is_null()).height == applied
    assert log["reason"].unique().to_list() == [reason]
    assert sandbox.requests["fault"].to_list() == [kind]
    assert sandbox.events.height == min(applied, 1)


def test_only_one_kind_of_429_has_retry_after():
    """One of the two kinds of 429 has a Retry-After header."""
    with Sandbox(faults=Faults(throttled=1.0)) as sandbox:
        assert "retry-after" not in track(sandbox).headers
        sandbox.faults = Faults(throttled_with_wait=1.0, wait_s=2.5)
        assert track(sandbox).headers["retry-after"] == "2.5"


def test_a_dropped_request_looks_like_a_success_without_strict_mode():
    """Without strict mode the answer is 200 and the event is dropped; the log has the reason."""
    with Sandbox(faults="none") as sandbox:
        sandbox.faults = Faults(dropped=1.0)
        assert track(sandbox, strict=False).status_code == 200
        assert sandbox.events.is_empty()
        assert sandbox.dropped["reason"].to_list() == ["fault.dropped"]


def test_truncated_answers_break_off_everywhere():
    """Among many answers some break off in the headers, some in the body; none is whole."""
    seen = Counter()
    with Sandbox(faults=Faults(truncated=1.0)) as sandbox:
        for _ in range(60):
            try:
                track(sandbox)
            except httpx.RemoteProtocolError as error:
                seen["body" if "body" in str(error) else "headers"] += 1
            else:
                seen["whole"] += 1
    assert seen["whole"] == 0
    assert seen["headers"] > 10


def test_dripping_fools_a_timeout_between_bytes():
    """Each byte comes within the reading timeout, the whole answer takes far longer."""
    took = []
    with Sandbox(faults=Faults(dripping=1.0, drip_s=0.6)) as sandbox:
        for _ in range(10):  # on a busy machine a byte may be late now and then
            started = time.monotonic()
            with suppress(httpx.ReadTimeout):
                assert track(sandbox, timeout=0.3).status_code == 200
                took.append(time.monotonic() - started)
                break
    assert took[0] > 0.5


def test_late_requests_are_overtaken():
    """Requests sent at once end in another order than they came; each has its number."""
    with Sandbox(faults=Faults(late=1.0, hold_s=0.2, seed=3)) as sandbox:

        async def work() -> None:
            async with httpx.AsyncClient(trust_env=False) as http:
                await asyncio.gather(
                    *(
                        http.post(
                            f"{sandbox.url}/v1/track", json=EVENT, auth=(sandbox.write_key, "")
                        )
                        for _ in range(8)
                    )
                )

        asyncio.run(work())
        order = sandbox.messages["request"].to_list()
    assert sorted(order) == list(range(1, 9))
    assert order != sorted(order)


def test_the_connection_after_a_fault_is_as_good_as_new():
    """A sender that keeps its connections gets through as soon as the faults end."""
    faults = Faults(reset_before=0.3, truncated=0.3, dripping=0.3, drip_s=0.02, last=20)
    with Sandbox(faults=faults, seed=5) as sandbox, httpx.Client(trust_env=False) as http:
        for _ in range(21):
            try:
                answer = http.post(
                    f"{sandbox.url}/v1/track", json=EVENT, auth=(sandbox.write_key, "")
                )
            except httpx.TransportError:
                continue
        assert answer.status_code == 200


def test_forms_meet_the_same_trouble():
    """A form that is dropped makes no person, one that is doubled counts twice."""
    with Sandbox(faults=Faults(failed=1.0)) as sandbox, httpx.Client(trust_env=False) as http:

        def submit() -> int:
            return http.post(
                f"{sandbox.url}/api/v1/forms/f1/submit",
                json={"data": {"email": "ada@example.com"}},
                auth=(sandbox.site_id, sandbox.track_api_key),
            ).status_code

        assert submit() >= 500
        assert sandbox.people.is_empty()
        sandbox.faults = Faults(doubled=1.0)
        assert submit() == 204
        assert sandbox.forms["submissions"].to_list() == [2]


def test_faults_work_in_process_too(socket_disabled):
    """Without a socket, an answer that breaks is an error of the connection."""
    sandbox = Sandbox(faults=Faults(reset_after=0.5, dripping=0.5, drip_s=0.01), seed=1)

    async def work() -> Counter[str]:
        seen: Counter[str] = Counter()
        transport = httpx.ASGITransport(sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=sandbox.in_process_url) as http:
            for _ in range(20):
                try:
                    answer = await http.post("/v1/track", json=EVENT, auth=(sandbox.write_key, ""))
                    seen[str(answer.status_code)] += 1
                except ConnectionResetError:
                    seen["reset"] += 1
        return seen

    seen = asyncio.run(work())
    assert set(seen) == {"200", "reset"}
    assert sandbox.messages.height == 20


def test_faults_change_and_keep_their_seed():
    """Faults can be named anew while the sandbox runs, and a reset counts requests from one."""
    with Sandbox(faults="flaky", seed=7) as sandbox:
        sandbox.faults = "storm"
        assert sandbox.faults == replace(PROFILES["storm"], seed=7)
        sandbox.faults = Faults(failed=1.0, last=1)
        assert [track(sandbox).is_success, track(sandbox).is_success] == [False, True]
        sandbox.reset()
        assert not track(sandbox).is_success


def test_a_sandbox_stops_while_an_answer_drips():
    """A dripping answer does not keep the server's thread from ending."""
    before = threading.active_count()
    with (
        Sandbox(faults=Faults(dripping=1.0, drip_s=30.0)) as sandbox,
        pytest.raises(httpx.TimeoutException),
        httpx.Client(trust_env=False) as http,
    ):
        http.post(
            f"{sandbox.url}/v1/track",
            json=EVENT, auth=(sandbox.write_key, ""), timeout=0.2,
        )  # fmt: skip
    assert threading.active_count() == before
