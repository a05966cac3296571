"""Every outcome that a host or the network can produce leads to one decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.sending.http import Response
from cio_frames.sending.retry_policy import (
    STATUS_RULES,
    AttemptHistory,
    Delivered,
    InDoubt,
    Rejected,
    Retry,
    RetryLimits,
    Split,
    Stop,
    Unverified,
    backoff,
    decide,
    retry_after,
)

OK = {"json": {}}
SAID = {"json": {"meta": {"errors": ["bad"]}}, "error": "bad"}


def answer(status, **parts):
    """Return an answer with a status."""
    return Response(kind="answer", status=status, **parts)


def trouble(kind, name):
    """Return what there is when no answer came."""
    return Response(kind=kind, network_error=name)


def decided(given_answer, *, call="track", size=10, strict=True, **history):
    """Decide with the default patience and an even chance."""
    return decide(
        given_answer,
        call=call,
        size=size,
        strict=strict,
        history=AttemptHistory(**history),
        retry_limits=RetryLimits(),
        jitter=lambda: 0.5,
    )


WAIT = 0.25  # half of the first half second

BATCHES = [
    ("refused-connection", trouble("never-sent", "CONNECT"), {}, Retry(after_s=WAIT, code="CONNECT", in_doubt=False)),
    ("refused-for-long", trouble("never-sent", "CONNECT"), {"repeats": 50}, Retry(after_s=WAIT, code="CONNECT", in_doubt=False)),
    ("never-reached-yet", trouble("never-sent", "CONNECT"), {"repeats": 5, "verified": False}, Retry(after_s=WAIT, code="CONNECT", in_doubt=False)),
    ("never-reached", trouble("never-sent", "CONNECT"), {"repeats": 6, "verified": False}, Stop),
    ("proxy", trouble("never-sent", "PROXY"), {}, Retry(after_s=WAIT, code="PROXY", in_doubt=False)),
    ("pool", trouble("never-sent", "POOL"), {}, Retry(after_s=WAIT, code="POOL", in_doubt=False)),
    ("unknown-host", trouble("never-sent", "UNKNOWN_HOST"), {"repeats": 2}, Retry(after_s=WAIT, code="UNKNOWN_HOST", in_doubt=False)),
    ("unknown-host-thrice", trouble("never-sent", "UNKNOWN_HOST"), {"repeats": 3}, Stop),
    ("tls", trouble("never-sent", "TLS"), {"repeats": 2}, Retry(after_s=WAIT, code="TLS", in_doubt=False)),
    ("tls-thrice", trouble("never-sent", "TLS"), {"repeats": 3}, Stop),
    ("reset", trouble("no-answer", "RESET"), {}, Retry(after_s=WAIT, code="RESET", in_doubt=True)),
    ("protocol", trouble("no-answer", "PROTOCOL"), {}, Retry(after_s=WAIT, code="PROTOCOL", in_doubt=True)),
    ("timeout", trouble("no-answer", "TIMEOUT"), {}, Retry(after_s=WAIT, code="TIMEOUT", in_doubt=True, slow_down=True)),
    ("timeout-twice", trouble("no-answer", "TIMEOUT"), {"repeats": 2}, Split(code="TIMEOUT", too_large=True, in_doubt=True)),
    ("timeout-twice-alone", trouble("no-answer", "TIMEOUT"), {"repeats": 2, "size": 1}, Retry(after_s=WAIT, code="TIMEOUT", in_doubt=True, slow_down=True)),
    ("200", answer(200, **OK), {}, Delivered()),
    ("200-permissive", answer(200, **OK), {"strict": False}, Unverified()),
    ("202", answer(202, **OK), {}, Unverified),
    ("201", answer(201, **OK), {}, Unverified),
    ("299", answer(299, **OK), {}, Unverified),
    ("202-refused", answer(202, **SAID), {}, Split(code="REFUSED", too_large=False)),
    ("200-other", answer(200, json={"id": 5}), {}, Unverified),
    ("200-success", answer(200, json={"success": True}), {}, Unverified),
    ("200-no-errors", answer(200, json={"errors": [], "meta": {}}), {}, Unverified),
    ("200-failure", answer(200, json={"success": False}), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-message", answer(200, json={"message": "log in"}), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-redirect", answer(200, json={"redirect": "/login"}), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-number-errors", answer(200, json={"errors": [5]}), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-meta-errors", answer(200, json={"meta": {"errors": {"a": 1}}}), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-failure-again", answer(200, json={"success": False}), {"repeats": 4}, Stop),
    ("proxy-407", answer(407), {}, Stop),
    ("200-empty", answer(200), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("204", answer(204), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-html", answer(200, error="<html>"), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-list", answer(200, json=[]), {}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-html-thrice", answer(200, error="<html>"), {"repeats": 3}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("200-html-again", answer(200, error="<html>"), {"repeats": 4}, Stop),
    ("200-html-permissive", answer(200, error="<html>"), {"strict": False}, Retry(after_s=WAIT, code="GARBAGE", in_doubt=True)),
    ("207-errors", answer(207, **SAID), {}, Split(code="REFUSED", too_large=False)),
    ("207-errors-alone", answer(207, **SAID), {"size": 1}, Rejected(code="REFUSED", error="bad")),
    ("301", answer(301), {}, Stop),
    ("302", answer(302), {}, Stop),
    ("307", answer(307), {}, Stop),
    ("308", answer(308), {}, Stop),
    ("400", answer(400, **SAID), {}, Split(code="REFUSED", too_large=False)),
    ("400-alone", answer(400, **SAID), {"size": 1}, Rejected(code="REFUSED", error="bad")),
    ("422", answer(422, **SAID), {}, Split(code="REFUSED", too_large=False)),
    ("422-alone", answer(422), {"size": 1}, Rejected(code="REFUSED", error="")),
    ("401", answer(401), {}, Stop),
    ("403", answer(403), {}, Stop),
    ("404", answer(404), {}, Stop),
    ("405", answer(405), {}, Stop),
    ("410", answer(410), {}, Stop),
    ("402", answer(402), {}, Stop),
    ("409", answer(409), {}, Stop),
    ("415", answer(415), {}, Stop),
    ("451", answer(451), {}, Stop),
    ("408", answer(408), {}, Retry(after_s=WAIT, code="HTTP_408", in_doubt=False)),
    ("413", answer(413), {}, Split(code="TOO_LARGE", too_large=True)),
    ("413-alone", answer(413, error="big"), {"size": 1}, Rejected(code="TOO_LARGE", error="big")),
    ("429", answer(429), {}, Retry(after_s=WAIT, code="THROTTLED", in_doubt=False, slow_down=True)),
    ("429-later", answer(429, retry_after="7"), {}, Retry(after_s=7.0, code="THROTTLED", in_doubt=False, pause_s=7.0, slow_down=True)),
    ("429-now", answer(429, retry_after="0"), {}, Retry(after_s=WAIT, code="THROTTLED", in_doubt=False, slow_down=True)),
    ("500", answer(500), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True)),
    ("501", answer(501), {}, Stop),
    ("502", answer(502), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True)),
    ("503", answer(503), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True, slow_down=True)),
    ("503-later", answer(503, retry_after="7"), {}, Retry(after_s=7.0, code="SERVER_ERROR", in_doubt=True, pause_s=7.0, slow_down=True)),
    ("504", answer(504), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True)),
    ("505", answer(505), {}, Stop),
    ("522", answer(522), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True)),
    ("524", answer(524), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True)),
    ("599", answer(599), {}, Retry(after_s=WAIT, code="SERVER_ERROR", in_doubt=True)),
    ("100", answer(100), {}, Stop),
    ("999", answer(999), {}, Stop),
    ("1000", answer(1000), {}, Stop),
    ("outage", answer(503), {"outage_s": 1_801}, Stop),
    ("outage-unsent", trouble("never-sent", "CONNECT"), {"outage_s": 1_801}, Stop),
    ("no-outage-when-refused", answer(400), {"outage_s": 1_801}, Split(code="REFUSED", too_large=False)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given_answer", "options", "expected"),
    [pytest.param(*case[1:], id=case[0]) for case in BATCHES],
)
def test_each_outcome_of_a_batch_has_its_decision(given_answer, options, expected):
    """Each response to a batch leads to the decision in its row of the table."""
    decision = decided(given_answer, **options)

    assert type(decision) is expected if isinstance(expected, type) else decision == expected


@pytest.mark.parametrize(
    ("given_answer", "options", "code", "in_doubt"),
    [
        pytest.param(answer(301), {}, "REDIRECTED", False, id="301"),
        pytest.param(answer(401), {}, "UNAUTHORIZED", False, id="401"),
        pytest.param(answer(403), {}, "FORBIDDEN", False, id="403"),
        pytest.param(answer(404), {}, "WRONG_PATH", False, id="404"),
        pytest.param(answer(501), {}, "NOT_SUPPORTED", False, id="501"),
        pytest.param(answer(418), {}, "UNEXPECTED_STATUS", False, id="418"),
        pytest.param(answer(200, error="<p>"), {"repeats": 4}, "NOT_CUSTOMERIO", True, id="portal"),
        pytest.param(trouble("never-sent", "TLS"), {"repeats": 3}, "TLS", False, id="tls"),
        pytest.param(answer(407), {}, "PROXY", False, id="proxy-407"),
        pytest.param(
            Response(
                kind="never-sent",
                network_error="PROXY",
                error="ProxyError: 407 Authentication Required",
            ),
            {"repeats": 3},
            "PROXY",
            False,
            id="tunnel-407",
        ),
        pytest.param(
            Response(kind="never-sent", network_error="PROXY", error="ProxyError: 502 Bad Gateway"),
            {"repeats": 6, "verified": False},
            "PROXY",
            False,
            id="tunnel-502",
        ),
        pytest.param(
            trouble("never-sent", "UNKNOWN_HOST"), {"repeats": 3}, "UNKNOWN_HOST", False, id="dns"
        ),
        pytest.param(answer(500), {"outage_s": 1_801}, "OUTAGE", True, id="outage"),
        pytest.param(answer(429), {"outage_s": 1_801}, "OUTAGE", False, id="throttled-for-ever"),
    ],
)
def test_a_stop_has_a_reason_and_may_leave_messages_in_doubt(given_answer, options, code, in_doubt):
    """Each reason to stop has its code, a sentence, and keeps doubt apart."""
    decision = decided(given_answer, **options)

    assert (decision.code, decision.in_doubt) == (code, in_doubt)
    assert decision.reason.endswith((".", ". It says: bad"))


FORMS = [
    ("204", answer(204), {}, Delivered()),
    ("204-permissive", answer(204), {"strict": False}, Delivered()),
    ("200", answer(200, **OK), {}, Delivered()),
    ("200-empty", answer(200), {}, Delivered()),
    ("202", answer(202), {}, Unverified),
    ("201", answer(201, **OK), {}, Unverified),
    ("200-other", answer(200, json={"id": 5}), {}, Unverified),
    ("200-failure", answer(200, json={"success": False}), {}, Stop),
    ("200-message", answer(200, json={"message": "log in"}), {}, Stop),
    ("200-html", answer(200, error="<html>"), {}, Stop),
    ("400", answer(400, **SAID), {}, Rejected(code="REFUSED", error="bad")),
    ("401", answer(401), {}, Stop),
    ("404", answer(404), {}, Stop),
    ("408", answer(408), {}, Retry(after_s=WAIT, code="HTTP_408", in_doubt=False)),
    ("413", answer(413, error="big"), {}, Rejected(code="TOO_LARGE", error="big")),
    ("429", answer(429), {}, Retry(after_s=WAIT, code="THROTTLED", in_doubt=False, slow_down=True)),
    ("500", answer(500, error="oops"), {}, InDoubt(code="SERVER_ERROR", error="oops")),
    ("503", answer(503, retry_after="7"), {}, InDoubt(code="SERVER_ERROR", error="")),
    ("unreached", trouble("never-sent", "CONNECT"), {}, Retry(after_s=WAIT, code="CONNECT", in_doubt=False)),
    ("reset", trouble("no-answer", "RESET"), {}, InDoubt(code="RESET", error="")),
    ("timeout", trouble("no-answer", "TIMEOUT"), {}, InDoubt(code="TIMEOUT", error="")),
    ("protocol", trouble("no-answer", "PROTOCOL"), {}, InDoubt(code="PROTOCOL", error="")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given_answer", "options", "expected"), [pytest.param(*case[1:], id=case[0]) for case in FORMS]
)
def test_each_outcome_of_a_form_has_its_decision(given_answer, options, expected):
    """A form that may have been applied is never sent again; one that was not, is."""
    decision = decided(given_answer, call="form", size=1, **options)

    assert type(decision) is expected if isinstance(expected, type) else decision == expected


answers = st.builds(
    Response,
    kind=st.sampled_from(["answer", "never-sent", "no-answer"]),
    status=st.none() | st.integers(100, 999),
    json=st.none() | st.just({}) | st.just([]),
    retry_after=st.none() | st.sampled_from(["0", "5", "x", "-1", "1e99"]),
    error=st.sampled_from(["", "bad"]),
    network_error=st.sampled_from(["", "CONNECT", "TLS", "TIMEOUT", "RESET", "POOL"]),
)
histories = st.builds(
    AttemptHistory,
    attempt=st.integers(1, 10_000),
    repeats=st.integers(1, 100),
    outage_s=st.floats(0, 10_000),
)


@given(
    answers,
    histories,
    st.integers(1, 2_000),
    st.booleans(),
    st.sampled_from(["track", "alias", "form"]),
)
def test_laws_of_the_decision(given_answer, history, size, strict, call):
    """Only a documented success delivers, one message never splits, waits are bounded."""
    size = 1 if call == "form" else size
    decision = decide(
        given_answer, call=call, size=size, strict=strict, history=history,
        retry_limits=RetryLimits(), jitter=lambda: 0.99,
    )  # fmt: skip

    if isinstance(decision, Delivered | Unverified):
        assert given_answer.kind == "answer"
        assert 200 <= given_answer.status < 300
        documented = given_answer.status == 200 or (call == "form" and given_answer.status == 204)
        verified = documented and (strict or call == "form")
        assert isinstance(decision, Delivered) == verified
    if isinstance(decision, Retry):
        assert 0 <= decision.after_s <= 300
        assert not (call == "form" and decision.in_doubt)
    if isinstance(decision, Split):
        assert size > 1
    if isinstance(decision, Rejected):
        assert size == 1
        assert given_answer.kind == "answer"
    assert isinstance(decision, InDoubt) <= (call == "form")


def test_every_status_has_a_row():
    """No HTTP status is without a decision, and every row is the first for some status."""
    first_of = {
        next(row for row in STATUS_RULES if row.first <= status <= row.last)
        for status in range(100, 1000)
    }

    assert first_of == set(STATUS_RULES)


def test_a_proxy_that_fails_in_the_middle_of_a_run_is_an_outage():
    """A proxy that has worked may recover, so the request is retried."""
    failing = Response(
        kind="never-sent", network_error="PROXY", error="ProxyError: 502 Bad Gateway"
    )
    assert isinstance(decided(failing, repeats=50), Retry)


DATE = "Mon, 02 Mar 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        pytest.param(None, DATE, None, id="absent"),
        pytest.param("7", None, 7.0, id="seconds"),
        pytest.param(" 7 ", None, 7.0, id="blanks"),
        pytest.param("1.5", None, 1.5, id="fraction"),
        pytest.param("0", None, 0.0, id="zero"),
        pytest.param("-5", None, 0.0, id="negative"),
        pytest.param("86400", None, 300.0, id="huge"),
        pytest.param("1e999", None, None, id="infinite"),
        pytest.param("nan", None, None, id="nan"),
        pytest.param("", DATE, None, id="empty"),
        pytest.param("soon", DATE, None, id="garbage"),
        pytest.param("Mon, 02 Mar 2026 10:00:30 GMT", DATE, 30.0, id="date"),
        pytest.param("Mon, 02 Mar 2026 09:00:00 GMT", DATE, 0.0, id="date-past"),
        pytest.param("Tue, 03 Mar 2026 10:00:00 GMT", DATE, 300.0, id="date-far"),
        pytest.param("Mon, 02 Mar 2026 12:00:30 +0200", DATE, 30.0, id="date-zone"),
        pytest.param("Mon, 02 Mar 2026 10:00:30", DATE, 30.0, id="date-without-zone"),
        pytest.param("Mon, 02 Mar 2026 10:00:30 GMT", None, None, id="date-without-date"),
        pytest.param("Mon, 02 Mar 2026 10:00:30 GMT", "x", None, id="date-with-garbage"),
        pytest.param("Mon, 99 Mar 2026 10:00:30 GMT", DATE, None, id="date-impossible"),
        pytest.param("1 Jan 99999 00:00:00 GMT", DATE, None, id="date-beyond-years"),
        pytest.param(f"1 Jan {'9' * 40} 00:00:00 GMT", DATE, None, id="date-beyond-numbers"),
        pytest.param("1 Jan 2026 00:00:00 +9999", DATE, None, id="date-beyond-zones"),
    ],
)
def test_retry_after_is_measured_by_the_hosts_own_clock(value, date, seconds):
    """Seconds and dates are understood, garbage is not, and nothing exceeds five minutes."""
    assert retry_after(value, date=date) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_retry_after_is_too_strange_to_read(value, date):
    """Any header gives nothing or a wait within bounds."""
    seconds = retry_after(value, date=date)

    assert seconds is None or 0 <= seconds <= 300


@given(st.integers(1, 100_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_under_a_doubling_cap(attempt, drawn):
    """The wait is the drawn share of 0.5 s doubled with each try, 30 s at most."""
    cap = min(30.0, 0.5 * 2 ** min(attempt - 1, 30))

    assert backoff(attempt, retry_limits=RetryLimits(), jitter=lambda: drawn) == drawn * cap
