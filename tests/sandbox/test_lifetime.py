"""Starting, stopping, and asking while requests arrive."""

import asyncio
import json
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cio_frames.errors import SandboxError
from cio_frames.identity import Settings
from cio_frames.sandbox import Sandbox
from cio_frames.sandbox.tables import SCHEMAS


def track(sandbox, **message) -> httpx.Response:
    """Send one event with plain httpx."""
    body = {"userId": "u1", "event": "x"} | message
    with httpx.Client(trust_env=False) as http:
        return http.post(f"{sandbox.url}/v1/track", json=body, auth=(sandbox.write_key, ""))


def open_files() -> set[str]:
    """Return what the file descriptors of this process lead to."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith(("socket:", "anon_inode:"))}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files here")
def test_stop_leaves_nothing():
    """After a stop there is no thread, no socket and no server of the sandbox."""
    threads, files = set(threading.enumerate()), open_files()
    with Sandbox() as sandbox:
        url = sandbox.url
        line = httpx.Client(trust_env=False)
        line.post(f"{url}/v1/track", json={}, auth=("", ""))
        during = set(threading.enumerate())
    line.close()

    assert {thread.name.partition("-")[0] for thread in during - threads} == {"cio"}
    assert set(threading.enumerate()) == threads
    assert open_files() <= files
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=1)


def test_stop_does_not_wait_for_a_stuck_sender(caplog, capfd):
    """A sender in the middle of a request cannot keep the server from stopping, silently."""
    before = set(threading.enumerate())
    with Sandbox() as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        line = socket.create_connection((host, int(port)), timeout=5)
        head = f"POST /v1/track HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 9\r\n\r\n"
        line.sendall(head.encode() + b"{")
    threads = [thread.name for thread in set(threading.enumerate()) - before]
    line.close()

    assert not [name for name in threads if name.startswith("cio-sandbox")]
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_start_is_idempotent_and_possible_again():
    """A second start changes nothing, a stop of a stopped one neither, and it can start anew."""
    sandbox = Sandbox()
    try:
        assert sandbox.start() is sandbox
        url = sandbox.url
        assert sandbox.start().url == url
        sandbox.stop()
        sandbox.stop()
        assert track(sandbox.start()).status_code == 200
    finally:
        sandbox.stop()

    assert sandbox.counts["accepted"] == 1


def test_taken_port_is_a_clear_error():
    """The error for a port in use names it, and says what to do."""
    with Sandbox() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(SandboxError, match=rf"127\.0\.0\.1:{port}.*use a free one"):
            Sandbox(port=port).start()


@pytest.mark.parametrize("port", [-1, 65_536])
def test_impossible_port_is_a_clear_error(port):
    """The error for an invalid port is like that for a port in use."""
    with pytest.raises(SandboxError, match="use a free one"):
        Sandbox(port=port).start()


def test_given_port_and_keys_are_used():
    """Port and keys can be chosen."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Sandbox(port=port, write_key="key", site_id="site", track_api_key="secret") as sandbox:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/track",
            json={"userId": "u1", "event": "x"},
            auth=("key", ""),
            headers={"X-Strict-Mode": "1"},
        )

    assert answer.status_code == 200
    assert (sandbox.site_id, sandbox.track_api_key) == ("site", "secret")


def test_url_of_a_stopped_sandbox_is_an_error():
    """Without a server there is no address, and the error says how to get one."""
    with pytest.raises(SandboxError, match="has not been started"):
        _ = Sandbox().url


def test_repr_is_one_line_without_keys():
    """The representation shows address and counts, and no key."""
    with Sandbox() as sandbox:
        track(sandbox)
        shown = repr(sandbox)

    assert f"{sandbox!r}".startswith("<Sandbox not started, requests=1, messages=1,")
    assert "http://127.0.0.1:" in shown
    assert "\n" not in shown
    keys = (sandbox.write_key, sandbox.site_id, sandbox.track_api_key)
    assert not [key for key in keys if key in shown + repr(sandbox._keys)]
    assert len(set(keys)) == 3


def test_client_needs_somebody_who_makes_it():
    """client() starts the server and calls the given function; without one the error says where to get it."""
    with pytest.raises(SandboxError, match=r"cio\.sandbox\(\)"):
        Sandbox().client()

    sandbox = Sandbox(connect=lambda sandbox: sandbox.url)
    try:
        assert sandbox.client() == sandbox.url
    finally:
        sandbox.stop()


def test_it_works_inside_a_running_loop():
    """Starting, sending and stopping work where an event loop is running already."""

    async def program() -> list[str]:
        with Sandbox() as sandbox:
            async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as http:
                body = {"userId": "u1", "event": "x"}
                await http.post("/v1/track", json=body, auth=(sandbox.write_key, ""))
            return sandbox.events["name"].to_list()

    assert asyncio.run(program()) == ["x"]


def test_the_server_logs_nothing(caplog, capfd):
    """Nothing of the server reaches the logs or the terminal, even with all logging on."""
    caplog.set_level(logging.DEBUG, logger="uvicorn")
    caplog.set_level(logging.DEBUG, logger="uvicorn.error")
    with Sandbox() as sandbox:
        track(sandbox)
        host, port = sandbox.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as line:
            line.sendall(b"nonsense\r\n\r\n")
            line.recv(100)

    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert capfd.readouterr() == ("", "")


def test_eight_threads_lose_nothing():
    """With eight senders and a reader at once, every message counts once in each snapshot."""
    with Sandbox() as sandbox, httpx.Client(base_url=sandbox.url, trust_env=False) as http:

        def send(thread: int) -> None:
            for number in range(20):
                items = [
                    {"type": "track", "userId": f"u{thread}", "event": "x", "messageId": str(key)}
                    for key in range((thread * 20 + number) * 5, (thread * 20 + number) * 5 + 5)
                ]
                answer = http.post("/v1/batch", json={"batch": items}, auth=(sandbox.write_key, ""))
                assert answer.status_code == 200

        def look() -> list[int]:
            return [sandbox.events.height for _ in range(20)]

        with ThreadPoolExecutor(9) as pool:
            looks = pool.submit(look)
            list(pool.map(send, range(8)))
        seen = looks.result()

        assert sorted(seen) == seen
        assert all(height % 5 == 0 for height in seen)
        assert sandbox.events["message_id"].cast(int).sort().to_list() == list(range(800))
        assert sandbox.requests["number"].to_list() == list(range(1, 161))
        assert sandbox.messages["number"].to_list() == list(range(1, 801))
        assert sandbox.people["id"].sort().to_list() == [f"u{thread}" for thread in range(8)]


def test_messages_keep_every_copy():
    """The log of arrivals keeps a message that came twice, the workspace has it once."""
    with Sandbox() as sandbox:
        track(sandbox, messageId="m1")
        track(sandbox, messageId="m1")

        assert sandbox.messages["message_id"].to_list() == ["m1", "m1"]
        assert sandbox.messages["payload_sha"].n_unique() == 1
        assert json.loads(sandbox.messages["json"][0])["event"] == "x"
        assert sandbox.events["message_id"].to_list() == ["m1"]


def test_empty_frames_have_the_schemas_of_full_ones(caller, sandbox):
    """The schema of a frame does not depend on what is in it."""
    names = [*SCHEMAS, "dropped"]
    empty = {name: getattr(sandbox, name) for name in names}
    batch = [
        {"type": "identify", "userId": "u1", "traits": {"created_at": 1_700_000_000, "a": [1]}},
        {"type": "identify", "userId": "u2", "anonymousId": "a1"},
        {"type": "identify", "userId": "u1", "traits": {"email": "ada@example.com"}},
        {"type": "identify", "userId": "u2", "traits": {"email": "ada@example.com"}},
        {"type": "track", "anonymousId": "a2", "event": "x", "properties": {"a": {"b": 1}}},
        {"type": "group", "userId": "u1", "groupId": "g"},
        {"type": "alias", "userId": "u1", "previousId": "u2"},
        {"type": "track"},
    ]
    caller.post("/v1/batch", {"batch": batch})
    caller.post("/api/v1/forms/f/submit", {"data": {"email": "ada@example.com"}})

    for name in names:
        full = getattr(sandbox, name)
        assert empty[name].is_empty(), name
        assert not full.is_empty(), name
        assert full.schema == empty[name].schema, name


def test_people_have_identifiers_and_attributes(caller, sandbox):
    """A person has identifiers as columns and attributes as JSON, the time of sign-up in both."""
    traits = {"email": "ada@example.com", "created_at": 1_700_000_000, "plan": "pro"}
    caller.post("/v1/identify", {"userId": "u1", "anonymousId": "a1", "traits": traits})

    person = sandbox.people.row(0, named=True)
    assert (person["id"], person["email"], person["anonymous_ids"]) == (
        "u1",
        "ada@example.com",
        ["a1"],
    )
    assert person["created_at"] == 1_700_000_000
    assert json.loads(person["attributes"]) == {"created_at": 1_700_000_000, "plan": "pro"}


def test_reset_empties_everything(caller, sandbox):
    """A reset leaves the keys and the address and forgets all that came."""
    before = (sandbox.url, sandbox.write_key)
    track(sandbox)
    sandbox.reset()

    assert (sandbox.url, sandbox.write_key) == before
    assert sandbox.counts == {"requests": 0, "messages": 0, "accepted": 0, "dropped": 0}
    assert sandbox.people.is_empty()
    track(sandbox)
    assert sandbox.requests["number"].to_list() == [1]


def test_counts_only_keeps_no_message():
    """With keep="counts" there are counts; reading messages is an error that says so."""
    with Sandbox(keep="counts") as sandbox:
        track(sandbox)
        track(sandbox, event=None)

        assert sandbox.counts == {"requests": 2, "messages": 2, "accepted": 1, "dropped": 1}
        assert sandbox.requests["status"].to_list() == [200, 200]
        with pytest.raises(SandboxError, match="counts only"):
            _ = sandbox.people


def test_clock_and_settings_reach_the_workspace():
    """The time of arrival and the settings of the workspace are the caller's."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    settings = Settings(event_for_unknown="drop")
    with Sandbox(clock=lambda: now, settings=settings) as sandbox:
        track(sandbox)

        assert sandbox.requests["at"].to_list() == [now]
        assert sandbox.events.is_empty()
        assert sandbox.failures["rule"].to_list() == ["event.unknown-person"]


def in_child(sandbox, answers) -> None:
    """Ask an inherited sandbox in a forked process."""
    errors = []
    for question in (lambda: sandbox.people, sandbox.start, sandbox.reset, lambda: sandbox.counts):
        try:
            question()
        except SandboxError as error:
            errors.append("fork" in str(error))
    sandbox.stop()
    answers.put((errors, repr(sandbox)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_errors_and_harms_nothing():
    """In a fork every read is an error, a stop does nothing, and the parent is not affected."""
    context = multiprocessing.get_context("fork")
    with Sandbox() as sandbox:
        answers = context.SimpleQueue()
        child = context.Process(target=in_child, args=(sandbox, answers))
        child.start()
        errors, shown = answers.get()
        child.join(10)

        assert errors == [True, True, True, True]
        assert shown == f"<Sandbox of process {os.getpid()}>"
        assert track(sandbox).status_code == 200


def test_program_ends_without_a_stop():
    """A script that never stops its sandbox ends at once, silently and with success."""
    program = "from cio_frames.sandbox import Sandbox; print(Sandbox().start().url)"
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("port", [70_000, -1])
def test_an_invalid_port_is_an_error_in_plain_sentences(port):
    """The message names the port, ends its sentences once, and says what to do."""
    with pytest.raises(SandboxError) as caught:
        Sandbox(port=port).start()

    assert str(port) in str(caught.value)
    assert ".." not in str(caught.value)
    assert "Leave out `port`" in str(caught.value)
