"""Keys and people leak nowhere, whatever a host answers and however a run is shown."""

import base64
import io
import json
import logging
import pickle
import random
import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import CioError, RunError

WRITE_KEY = "CANARYwrite/key+1"
TRACK_KEY = "CANARYtrack/key+2"
APP_KEY = "CANARYapp/key+3"
SITE_ID = "site1"
BASIC = [f"{WRITE_KEY}:", f"{SITE_ID}:{TRACK_KEY}"]
KEY_FORMS = [
    form
    for secret in (WRITE_KEY, TRACK_KEY, APP_KEY, f"Bearer {APP_KEY}", *BASIC)
    for form in (
        secret,
        secret[::-1],
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    )
]
PEOPLE = pl.DataFrame({"id": [f"u{n}" for n in range(8)], "n": range(8)})

SAID = f"unknown key {WRITE_KEY} {BASIC[0]} {base64.b64encode(BASIC[0].encode()).decode()}"


def answering(status: int) -> Callable[[httpx2.Request], httpx2.Response]:
    """Return a host that repeats the key in every answer."""
    body = {"meta": {"error": SAID}} if status != 200 else {}
    headers = {"x-said": WRITE_KEY, "location": f"https://{quote(WRITE_KEY)}@example.com/"}
    return lambda _: httpx2.Response(status, json=body, headers=headers)


def breaking(kind: type[Exception]) -> Callable[[httpx2.Request], httpx2.Response]:
    """Return a transport that is faulty itself."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        raise kind(f"{request.method} did not work")

    return handle


HOSTS: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {
    "success": answering(200),
    "refused rows": answering(400),
    "unauthorized": answering(401),
    "forbidden": answering(403),
    "redirect": answering(302),
    "no such path": answering(404),
    "unexpected": answering(418),
    "fault of the transport": breaking(RuntimeError),
}


class Seen:
    """One run, and everything that can be seen of it."""

    def __init__(self, handler: Callable[..., Any], folder: Path) -> None:
        out, logged, self.error = io.StringIO(), io.StringIO(), None
        root, told = logging.getLogger(), logging.StreamHandler(logged)
        self.folder = folder
        client = cio.connect(
            write_key=WRITE_KEY, site_id=SITE_ID, track_api_key=TRACK_KEY,
            transport=httpx2.MockTransport(handler), rate=None, environ={},
        )  # fmt: skip
        self.client, self.plan = client, PEOPLE.cio.identify(user_id="id")
        level = root.level
        root.addHandler(told)
        root.setLevel(logging.DEBUG)
        with redirect_stdout(out), redirect_stderr(out):
            try:
                self.run: Any = self.plan.send(client, audit=folder)
            except Exception as error:  # noqa: BLE001 - looked at below
                self.error = error
                self.run = getattr(error, "run", None)
        root.setLevel(level)
        root.removeHandler(told)
        self.printed, self.logged = out.getvalue(), logged.getvalue()


def drawn(seen: Seen) -> str:
    """Return every drawing of run, client and plan."""
    things = [thing for thing in (seen.run, seen.client, seen.plan) if thing is not None]
    texts = [repr(thing) + str(thing) for thing in things]
    texts += [
        str(thing._repr_mimebundle_()) for thing in (seen.run, seen.plan) if thing is not None
    ]
    return "\n".join([*texts, str(vars(seen.run)) if seen.run else ""])


def traced(seen: Seen) -> str:
    """Return the error with the local variables of every frame of this package."""
    if seen.error is None:
        return ""
    told = traceback.TracebackException.from_exception(seen.error, capture_locals=True)
    own = [frame for frame in told.stack if "cio_frames" in frame.filename]
    locals_ = [str(frame.locals) for frame in own]
    return "\n".join([str(seen.error), *getattr(seen.error, "__notes__", []), *locals_])


def in_a_notebook(seen: Seen) -> str:
    """Return the traceback as IPython draws it, with values."""
    if seen.error is None:
        return ""
    from IPython.core import ultratb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = ultratb.VerboseTB().structured_traceback(
            type(seen.error), seen.error, seen.error.__traceback__
        )
    return "\n".join(told)


def on_disk(seen: Seen) -> str:
    """Return every file of the record, Parquet unpacked."""
    texts = []
    for path in sorted(seen.folder.rglob("*")):
        if path.suffix == ".parquet":
            texts.append(pl.read_parquet(path).write_json())
        elif path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
    return "\n".join(texts)


def printed_and_logged(seen: Seen) -> str:
    """Return what was printed and logged."""
    return seen.printed + seen.logged


PLACES = {
    "drawings": drawn,
    "traceback": traced,
    "files": on_disk,
    "output and logs": printed_and_logged,
    "pickle": lambda seen: repr(_pickled(seen.run)) + repr(_pickled(seen.client)),
}


def _pickled(thing: Any) -> bytes:
    try:
        return pickle.dumps(thing)
    except Exception as error:  # noqa: BLE001 - refusing is what it should do
        return str(error).encode()


def leaks(text: str) -> list[str]:
    """Return the forms of keys that a text has."""
    return [form for form in KEY_FORMS if form in text]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return one run with each host."""
    folder = tmp_path_factory.mktemp("canary")
    return {name: Seen(host, folder / name) for name, host in HOSTS.items()}


@pytest.mark.parametrize("place", list(PLACES.values()), ids=list(PLACES))
@pytest.mark.parametrize("host", list(HOSTS))
def test_no_key_leaks(runs, host, place):
    """Forty ways to look at a run whose host repeats the key: none shows it in any form."""
    assert leaks(place(runs[host])) == []


def test_the_scenarios_are_not_empty(runs):
    """Runs stop, rows are rejected, an error is raised, and a key would be noticed."""
    assert runs["success"].run.counts["delivered"] == 8
    assert runs["refused rows"].run.counts["rejected_server"] > 0
    assert "***" in on_disk(runs["refused rows"])
    assert "rows arrived" in runs["success"].printed
    assert isinstance(runs["unauthorized"].error, RunError)
    assert isinstance(runs["fault of the transport"].error, RuntimeError)
    assert len(leaks(SAID)) >= 3


@pytest.mark.parametrize("host", ["unauthorized", "fault of the transport"])
def test_a_notebook_traceback_has_no_key(runs, host):
    """IPython draws the values of variables beside the code; none of them is a key."""
    told = in_a_notebook(runs[host])

    assert "Error" in told
    assert leaks(told) == []


READS = {
    "people": lambda client: client.people(progress=False),
    "exports": lambda client: client.exports(),
    "attributes": lambda client: client.attributes(["u1"]),
    "activities": lambda client: client.activities("u1"),
    "known": lambda client: PEOPLE.cio.identify(user_id="id").identity(known=client),
}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, "fault"])
@pytest.mark.parametrize("read", READS)
def test_no_app_key_leaks_where_a_workspace_is_read(read, status, tmp_path):
    """A host that repeats the key is not repeated: not in errors, tracebacks, logs and notebooks."""
    said = f"unknown key {APP_KEY}, Bearer {APP_KEY}"
    answer = httpx2.Response(
        status if status != "fault" else 200, json={"meta": {"error": said}, "exports": [said]},
        headers={"x-said": APP_KEY},
    )  # fmt: skip
    handler = breaking(RuntimeError) if status == "fault" else lambda _: answer
    seen = Seen.__new__(Seen)
    out, logged, seen.error = io.StringIO(), io.StringIO(), None
    root, told = logging.getLogger(), logging.StreamHandler(logged)
    level = root.level
    client = cio.connect(
        app_api_key=APP_KEY, transport=httpx2.MockTransport(handler), environ={}
    )  # fmt: skip
    root.addHandler(told)
    root.setLevel(logging.DEBUG)
    with redirect_stdout(out), redirect_stderr(out):
        try:
            READS[read](client)
        except Exception as error:  # noqa: BLE001 - looked at below
            seen.error = error
    root.setLevel(level)
    root.removeHandler(told)

    assert isinstance(seen.error, RuntimeError if status == "fault" else CioError)
    texts = [traced(seen), in_a_notebook(seen), out.getvalue(), logged.getvalue(), repr(client)]
    assert leaks("\n".join([*texts, repr(_pickled(client)), repr(_pickled(seen.error))])) == []


def test_a_missing_or_malformed_key_is_not_repeated(tmp_path):
    """Errors about keys name the argument or the variable, not the value."""
    for value in (f"{WRITE_KEY}\n{WRITE_KEY}", f"{WRITE_KEY}:x", f" {WRITE_KEY} y"):
        with pytest.raises(CioError) as caught:
            cio.connect(write_key=value, environ={})
        assert leaks(str(caught.value)) == []


def test_a_sandbox_shows_no_key():
    """Drawing a workspace, its tables and its log gives no key away."""
    with cio.sandbox(write_key="CANARYsandbox") as workspace:
        PEOPLE.cio.identify(user_id="id").payloads(1)
        tables = [workspace.requests, workspace.messages, workspace.people]
        assert "CANARYsandbox" not in repr(workspace) + "".join(map(str, tables))


@pytest.mark.parametrize("pii", ["hmac", "ids"])
def test_no_person_is_in_the_record(pii, tmp_path):
    """A thousand addresses, repeated by the host in every error, are in no file of the record."""
    chance = random.Random(20264)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ["".join(chance.choices(letters, k=12)) for _ in range(1_000)]
    people = pl.DataFrame({"email": [f"{name}@example.com" for name in names], "n": range(1_000)})

    def handle(request: httpx2.Request) -> httpx2.Response:
        import gzip

        body = request.content
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        batch = json.loads(body)["batch"]
        if any(item["traits"]["n"] % 100 == 7 for item in batch):
            told = ", ".join(item["userId"] for item in batch[:5])
            return httpx2.Response(400, json={"meta": {"errors": [f"no such person {told}"]}})
        return httpx2.Response(200, json={})

    client = cio.connect(
        write_key=WRITE_KEY, transport=httpx2.MockTransport(handle), rate=None, environ={}
    )
    plan = people.cio.identify(user_id="email", traits=["n"])
    run = plan.send(client, audit=tmp_path, progress=False, pii=pii)
    seen = Seen.__new__(Seen)
    seen.folder = tmp_path
    text = on_disk(seen)

    assert run.counts["rejected_server"] == 10
    assert [name for name in names if name in text] == []


def test_full_identifiers_are_kept_on_request_only(tmp_path):
    """The check of the record would find identifiers if they were there."""
    with cio.sandbox() as workspace:
        plan = pl.DataFrame({"id": ["ada-lovelace"]}).cio.identify(user_id="id")
        plan.send(workspace.client(), audit=tmp_path, progress=False, pii="full")
    seen = Seen.__new__(Seen)
    seen.folder = tmp_path

    assert "ada-lovelace" in on_disk(seen)
