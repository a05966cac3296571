"""The life of a form, through the Forms API and through a browser's own post."""

import polars as pl
import pytest

import cio_frames as cio

FORM = "/api/v1/forms/newsletter/submit"
ACTION = "/forms/submit_action"


def test_good_submission_is_204_and_makes_a_person(caller, sandbox):
    """A submission is answered with 204 and no body; the person, the event and the form exist."""
    answer = caller.post(FORM, {"data": {"email": "ada@example.com", "city": "Oslo"}})

    assert (answer.status_code, answer.content) == (204, b"")
    assert sandbox.people["email"].to_list() == ["ada@example.com"]
    assert sandbox.people["attributes"].to_list() == ['{"city":"Oslo"}']
    assert sandbox.events.select("type", "name", "email").rows() == [
        ("form", "newsletter", "ada@example.com")
    ]
    assert sandbox.forms.select("form_id", "submissions").rows() == [("newsletter", 1)]


def test_unmapped_identifier_is_400_until_the_form_is_mapped(caller, sandbox):
    """The first submission without a known identifier makes the form; mapping it makes it work."""
    body = {"data": {"email_address": "ada@example.com"}}

    first = caller.post(FORM, body)

    assert first.status_code == 400
    assert first.json()["meta"]["errors"]
    assert sandbox.forms.select("form_id", "submissions", "refused").rows() == [
        ("newsletter", 0, 1)
    ]
    assert sandbox.people.is_empty()

    sandbox.map_form("newsletter", {"email_address": "email"})

    assert caller.post(FORM, body).status_code == 204
    assert sandbox.people["email"].to_list() == ["ada@example.com"]
    assert sandbox.forms["mapping"].to_list() == ['{"email_address":"email"}']


BAD = {
    "no-identifier": {"data": {"city": "Oslo"}},
    "two-identifiers": {"data": {"email": "ada@example.com", "id": "1"}},
    "number": {"data": {"email": "ada@example.com", "age": 7}},
    "boolean": {"data": {"email": "ada@example.com", "agreed": True}},
    "list": {"data": {"email": "ada@example.com", "likes": ["a"]}},
    "null": {"data": {"email": "ada@example.com", "city": None}},
    "number-as-id": {"data": {"id": 12345}},
    "no-data": {},
    "data-is-no-object": {"data": []},
    "more-than-data": {"data": {"email": "ada@example.com"}, "timestamp": "2026-01-01T00:00:00Z"},
    "not-an-object": [],
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_submission_is_400(caller, sandbox, name):
    """A submission that breaks a rule of the Forms API is rejected with errors, strict or not."""
    answer = caller.post(FORM, BAD[name])

    assert answer.status_code == 400
    assert answer.json()["meta"]["errors"]
    assert sandbox.people.is_empty()
    assert sandbox.dropped["status"].to_list() == [400]


def test_malformed_submission_is_400_and_makes_no_form(caller, sandbox):
    """Bytes that are no JSON leave no form behind."""
    assert caller.post(FORM, content=b"{").status_code == 400
    assert sandbox.forms.is_empty()


@pytest.mark.parametrize(
    "auth", [("wrong", "wrong"), ("", ""), "write-key"], ids=["wrong", "empty", "write-key"]
)
def test_forms_need_track_credentials(caller, sandbox, auth):
    """A form without the site id and its API key is answered 401, even in permissive mode."""
    keys = (sandbox.write_key, "") if auth == "write-key" else auth

    answer = caller.post(FORM, {"data": {"email": "ada@example.com"}}, auth=keys)

    assert answer.status_code == 401
    assert sandbox.forms.is_empty()


def test_reserved_keys_are_ignored(caller, sandbox):
    """Reserved keys neither name the form nor become attributes."""
    data = {"email": "ada@example.com", "form_name": "x", "form_id": "y", "form_url_param": "z"}

    assert caller.post(FORM, {"data": data}).status_code == 204
    assert sandbox.people["attributes"].to_list() == ["{}"]
    assert sandbox.forms["form_id"].to_list() == ["newsletter"]


def test_form_id_is_percent_decoded(caller, sandbox):
    """A form id may contain any character when it is percent-encoded."""
    path = "/api/v1/forms/a%2Fb%20%C3%A9%3F/submit"

    assert caller.post(path, {"data": {"id": "u1"}}).status_code == 204
    assert sandbox.forms["form_id"].to_list() == ["a/b é?"]


def test_mapping_an_unknown_form_is_an_error(sandbox):
    """A form without a submission cannot be mapped; the error says what to do."""
    from cio_frames.errors import SandboxError

    with pytest.raises(SandboxError, match="first submission; forms so far: none"):
        sandbox.map_form("newsletter", {"email_address": "email"})


def act(caller, *, query=None, **more):
    """Post a web form to the action address."""
    good = {
        "site_id": caller.sandbox.site_id,
        "form_id": "signup",
        "success_url": "https://example.com/thanks?a=1&b=2",
    }
    return caller.http.post(ACTION, params=good | (query or {}), **more)


MULTIPART = {
    "content": (
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\nada@example.com\r\n'
        b'--b\r\nContent-Disposition: form-data; name="city"\r\n\r\nTroms\xc3\xb8\r\n--b--\r\n'
    ),
    "headers": {"Content-Type": "multipart/form-data; boundary=b"},
}
URLENCODED = {"data": {"email": "ada@example.com", "city": "Tromsø"}}


@pytest.mark.parametrize("form", [URLENCODED, MULTIPART], ids=["urlencoded", "multipart"])
def test_action_form_redirects_and_makes_a_person(caller, sandbox, form):
    """A browser's post needs no key, makes the person, and is sent on to the success page."""
    answer = act(caller, **form)

    assert answer.status_code == 302
    assert answer.headers["location"] == "https://example.com/thanks?a=1&b=2"
    assert sandbox.people.select("email", "attributes").rows() == [
        ("ada@example.com", '{"city":"Tromsø"}')
    ]
    assert sandbox.forms["form_id"].to_list() == ["signup"]


@pytest.mark.parametrize(
    "query",
    [
        {"site_id": "wrong"},
        {"site_id": ""},
        {"form_id": ""},
        {"success_url": ""},
        {"success_url": "javascript:alert(1)"},
        {"success_url": "https://example.com/\r\nx: y"},
    ],
    ids=["wrong-site", "no-site", "no-form", "no-url", "script", "header"],
)
def test_action_form_needs_its_query(caller, sandbox, query):
    """Without site, form and a web address for the redirect, the form is rejected."""
    answer = act(caller, query=query, **URLENCODED)

    assert answer.status_code == 400
    assert sandbox.people.is_empty()


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"data": {"city": "Oslo"}}, 400),
        ({"content": b"\xff=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 400),
        ({"content": b"a%FF=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ({"files": {"email": ("a.txt", b"ada@example.com")}}, 400),
        ({"json": {"email": "ada@example.com"}}, 415),
    ],
    ids=["no-person", "not-utf-8", "not-utf-8-escaped", "no-boundary", "cut", "file", "json"],
)  # fmt: skip
def test_action_form_that_cannot_be_read_is_refused(caller, sandbox, form, status):
    """A body that is not a web form, contains a file, or names no person is rejected."""
    assert act(caller, **form).status_code == status
    assert sandbox.people.is_empty()


@pytest.mark.parametrize(
    "origin", ["null", "http://localhost:8000", "https://www.example.com", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize("form", [URLENCODED, MULTIPART], ids=["urlencoded", "multipart"])
def test_action_form_is_posted_by_pages_of_any_origin(caller, sandbox, form, origin):
    """Any page or file can contain the form; it needs the site id, and cannot read the answer."""
    headers = {**form.get("headers", {}), "Origin": origin}

    answer = act(caller, **{**form, "headers": headers})
    stranger = act(caller, query={"site_id": "guess"}, **{**form, "headers": headers})

    assert answer.status_code == 302
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert stranger.status_code == 400
    assert sandbox.people["email"].to_list() == ["ada@example.com"]


@pytest.mark.parametrize("path", [FORM, "/v1/identify", f"{ACTION}/", "/forms"])
def test_only_the_action_takes_posts_of_other_origins(caller, sandbox, path):
    """No other address answers what a web page made a browser send."""
    answer = caller.post(path, {"data": {"id": "u1"}}, headers={"Origin": "null"})

    assert answer.status_code == 403
    assert sandbox.counts["requests"] == 0


SENT = pl.DataFrame({"email_address": ["ada@example.com", "bob"], "First name": ["Ada", "Bob"]})
MAPPING = {"email_address": "email", "First name": "first_name"}


def test_forms_are_there_before_their_first_submission(tmp_path):
    """A workspace made with a mapped form takes its own field names at once, after a reset too."""
    with cio.sandbox(forms={"newsletter": MAPPING}) as workspace:
        workspace.reset()
        plan = SENT.head(1).cio.form(form_id=cio.lit("newsletter"), mapping=MAPPING)

        run = plan.send(workspace.client(), progress=False, audit=tmp_path)

        assert run.counts["delivered"] == 1
        assert workspace.people.select("email", "attributes").rows() == [
            ("ada@example.com", '{"first_name":"Ada"}')
        ]
        assert workspace.forms.select("form_id", "refused").rows() == [("newsletter", 0)]


@pytest.mark.parametrize("named", [{}, {"email": "email_address"}], ids=["found", "named"])
def test_a_form_is_sent_under_its_own_field_names(named):
    """Fields keep their names on the wire, the person is known, and no check calls them wrong."""
    plan = SENT.head(1).cio.form(form_id=cio.lit("newsletter"), mapping=MAPPING, **named)

    assert plan.payloads() == [{"data": {"email_address": "ada@example.com", "First name": "Ada"}}]
    assert set(plan.findings["code"]) == {"form.no-time"}
    assert plan.identity().people["email"].to_list() == ["ada@example.com"]
    assert plan.rehearse(progress=False).identical


def test_an_address_under_its_own_name_is_checked():
    """An invalid address is an error, whatever the name of the field."""
    plan = SENT.cio.form(form_id=cio.lit("newsletter"), mapping=MAPPING)

    assert ("email.invalid", 1) in plan.findings.select("code", "row").rows()
