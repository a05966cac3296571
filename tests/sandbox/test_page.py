"""The page of a sandbox, and people who are there from the start."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pandas as pd
import polars as pl
import pytest

from cio_frames.errors import MappingError, SandboxError
from cio_frames.sandbox import Sandbox

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"


def fill(caller):
    """Send one message of each kind, two of which are dropped."""
    batch = [
        {"type": "identify", "userId": "u1", "anonymousId": "v1",
         "traits": {"email": "ada@example.com", "note": HOSTILE}},
        {"type": "identify", "userId": "u2", "traits": {"email": "ada@example.com"}},
        {"type": "track", "userId": "u1", "event": HOSTILE},
        {"type": "group", "userId": "u1", "groupId": "acme", "traits": {"name": "Acme"}},
        {"type": "alias", "userId": "u1", "previousId": "u2"},
        {"type": "track", "event": "Nobody"},
    ]  # fmt: skip
    caller.post("/v1/batch", {"batch": batch})
    caller.post("/api/v1/forms/news/submit", {"data": {"email": "bo@example.com"}})
    caller.post("/v1/track", {"userId": "u1", "event": "Late"}, auth=("wrong", ""))


def test_the_page_shows_everything_and_why_it_was_dropped(caller):
    """People, events, objects, forms, merges, and the reason of each dropped message."""
    fill(caller)

    page = caller.http.get(caller.sandbox._page_path)

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for words in ("ada@example.com", "bo@example.com", "acme", "news", "key.unknown",
                  "userId, anonymousId or groupId is required", "message.invalid"):  # fmt: skip
        assert words in page.text
    assert "People (2)" in page.text
    assert "Merges (1)" in page.text
    assert "Dropped (2)" in page.text


def test_looking_at_the_page_is_no_request_to_the_workspace(caller):
    """The page does not count, so faults by number and counts stay what they were."""
    fill(caller)
    before = caller.sandbox.counts

    caller.http.get(caller.sandbox._page_path)

    assert caller.sandbox.counts == before


def test_values_on_the_page_are_text(caller):
    """Nothing from the data becomes an element; the page has no script at all."""
    fill(caller)

    page = caller.http.get(caller.sandbox._page_path).text

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_the_page_forbids_scripts_and_frames(caller):
    """Even if a value slipped through, the browser would not run, load or frame it."""
    headers = caller.http.get(caller.sandbox._page_path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_the_page_is_guarded_like_everything_else(caller):
    """A request under another host name, or from another origin, does not see it."""
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        assert caller.http.get("/", headers=headers).status_code == 403


def test_an_empty_workspace_has_a_page(caller):
    """Before anything comes, every table is empty."""
    page = caller.http.get(caller.sandbox._page_path).text

    assert page.count("None yet.") == 9


def test_only_the_last_rows_are_shown(caller):
    """A long table shows its newest rows, and how many there are."""
    batch = [{"type": "track", "userId": "u1", "event": f"Event {n}"} for n in range(250)]
    caller.post("/v1/batch", {"batch": batch})

    page = caller.http.get(caller.sandbox._page_path).text

    assert "The last 200 of 250, newest first." in page
    assert "Event 249" in page
    assert ">Event 49</td>" not in page


def test_a_search_finds_rows_of_all_tables_and_ages(caller):
    """The search ignores case, and finds old rows that are not shown otherwise."""
    batch = [{"type": "track", "userId": "u1", "event": f"Event {n}"} for n in range(350)]
    caller.post("/v1/batch", {"batch": [{"type": "identify", "userId": "u1"}, *batch]})

    page = caller.http.post(caller.sandbox._page_path, data={"search": " EVENT 123 "}).text

    assert "1 of 350 contain “EVENT 123”." in page
    assert ">Event 123</td>" in page
    assert "Events (1)" in page
    assert "People (0)" in page


def test_what_is_searched_for_is_text_and_stays_out_of_addresses(caller):
    """It is posted, is no pattern, and comes back escaped."""
    fill(caller)

    page = caller.http.post(caller.sandbox._page_path, data={"search": "<script>.*"}).text
    found = caller.http.post(caller.sandbox._page_path, data={"search": "<script>"}).text

    assert "<script" not in page + found
    assert "People (0)" in page
    assert "People (1)" in found
    assert 'method="get"' not in page.lower()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_table_can_be_downloaded(caller, kind):
    """A file has the columns of the page and all rows that are found, with whole values."""
    batch = [
        {"type": "identify", "userId": f"u{n}", "traits": {"note": "x" * 400}} for n in range(250)
    ]
    caller.post("/v1/batch", {"batch": batch})
    page = caller.http.get(caller.sandbox._page_path).text

    asked = {"search": "u", "download": f"people.{kind}"}
    answer = caller.http.post(caller.sandbox._page_path, data=asked)

    assert answer.headers["content-disposition"] == f'attachment; filename="people.{kind}"'
    people = answer.json() if kind == "json" else list(csv.DictReader(io.StringIO(answer.text)))
    assert [person["id"] for person in people] == [f"u{n}" for n in reversed(range(250))]
    attributes = people[0]["attributes"]
    assert attributes in ({"note": "x" * 400}, f'{{"note":"{"x" * 400}"}}')
    assert "Values that end in “…” are longer." in page


def test_a_downloaded_table_runs_nothing_in_a_spreadsheet(caller):
    """A cell that would be a formula begins with an apostrophe."""
    caller.post("/v1/track", {"userId": "u1", "event": "=HYPERLINK(1)"})

    answer = caller.http.post(caller.sandbox._page_path, data={"download": "events.csv"})

    assert [row["name"] for row in csv.DictReader(io.StringIO(answer.text))] == ["'=HYPERLINK(1)"]


@pytest.mark.parametrize("name", ["people", "people.html", "nobody.csv", "../people.csv", ".csv"])
def test_there_are_no_other_files(caller, name):
    """A name that the page does not offer is an error, and never becomes part of a header."""
    answer = caller.http.post(caller.sandbox._page_path, data={"download": name})

    assert answer.status_code == 400
    assert "content-disposition" not in answer.headers


def test_searching_and_downloading_need_the_address_and_the_origin(caller):
    """Another origin, or another token, gets nothing, and no search counts as a request."""
    fill(caller)
    before = caller.sandbox.counts
    asked = {"download": "people.csv"}
    path = caller.sandbox._page_path

    for origin in ("https://evil.example", "null"):
        answer = caller.http.post(path, data=asked, headers={"origin": origin})
        assert answer.status_code == 403
    assert caller.http.post(path, data=asked).status_code == 200
    assert caller.sandbox.counts == before
    assert caller.http.post("/page/0", data=asked).status_code == 404


def test_a_sandbox_that_keeps_counts_shows_requests():
    """Where messages are forgotten, the page has what there is."""
    with Sandbox(keep="counts") as sandbox:
        page = httpx.get(sandbox.page_url, trust_env=False).text

        asked = {"download": "people.csv"}
        refused = httpx.post(sandbox.page_url, data=asked, trust_env=False)

    assert "Requests (0)" in page
    assert "People" not in page
    assert refused.status_code == 400


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no Chromium to look with")
def test_the_page_in_a_real_browser(caller, tmp_path):
    """A browser builds the page as written, and no value in it runs."""
    fill(caller)

    seen = subprocess.run(  # noqa: S603 - the browser of this machine, on the loopback address
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", f"--user-data-dir={tmp_path}", "--dump-dom", caller.sandbox.page_url],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip

    assert "<title>cio_frames sandbox</title>" in seen
    assert "owned" not in re.sub(r"&lt;script&gt;.*?&lt;/script&gt;", "", seen)
    assert "<img" not in seen
    assert '<section id="dropped"' in seen
    assert "ada@example.com" in seen


PEOPLE = {"id": ["1", "2"], "email": ["ada@example.com", None], "cio_id": ["c1", "c2"],
          "anonymous_id": [None, "v2"]}  # fmt: skip
TABLES = {
    "polars": pl.DataFrame(PEOPLE),
    "lazy": pl.LazyFrame(PEOPLE),
    "pandas": pd.DataFrame(PEOPLE),
    "rows": pl.DataFrame(PEOPLE).to_dicts(),
    "numbers": pd.DataFrame(PEOPLE | {"id": [1, 2]}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_people_can_be_there_from_the_start(caller, kind):
    """Any table of people is a workspace to begin with."""
    caller.sandbox.load(TABLES[kind])

    people = caller.sandbox.people
    assert people.select("id", "email", "cio_id").rows() == [
        ("1", "ada@example.com", "c1"), ("2", None, "c2"),
    ]  # fmt: skip
    assert people["anonymous_ids"].to_list() == [[], ["v2"]]


def test_loaded_people_are_updated_by_what_comes(caller):
    """A message about a loaded person creates no person."""
    caller.sandbox.load(TABLES["polars"])
    caller.post("/v1/identify", {"userId": "2", "traits": {"plan": "pro"}})

    assert caller.sandbox.people.height == 2
    assert caller.sandbox.people["attributes"].to_list() == ["{}", '{"plan":"pro"}']


def test_the_people_of_one_sandbox_can_move_to_another(caller):
    """What `people` gives, `load` takes."""
    fill(caller)
    with Sandbox() as other:
        other.load(caller.sandbox.people)

        columns = ("id", "email", "cio_id", "anonymous_ids", "attributes")
        assert other.people.select(columns).equals(caller.sandbox.people.select(columns))


def test_people_are_loaded_first(caller):
    """After messages have come it is too late, until a reset."""
    caller.post("/v1/identify", {"userId": "u1"})

    with pytest.raises(SandboxError, match="reset"):
        caller.sandbox.load(TABLES["polars"])
    caller.sandbox.reset()
    caller.sandbox.load(TABLES["polars"])
    assert caller.sandbox.people.height == 2


def test_a_table_without_identifiers_cannot_be_loaded(caller):
    """People without identifiers are an error."""
    with pytest.raises(MappingError, match="id, email"):
        caller.sandbox.load([{"name": "Ada"}])


def test_a_reset_forgets_loaded_people(caller):
    """After a reset there are no people."""
    caller.sandbox.load(TABLES["polars"])
    caller.sandbox.reset()

    assert caller.sandbox.people.height == 0


@pytest.mark.parametrize("path", ["/", "/page", "/page/", "/page/0", "/page/{key}", "/page/%00"])
def test_the_page_is_for_who_has_its_address(caller, path):
    """Without the token, which is made anew for each workspace, nothing of the data is shown."""
    fill(caller)

    answer = caller.http.get(path.format(key=caller.sandbox.write_key))

    assert answer.status_code == 404
    assert "ada@example.com" not in answer.text
    assert Sandbox()._page_path != caller.sandbox._page_path


def test_a_workspace_can_be_without_a_page():
    """The workspace of a rehearsal has no page."""
    with Sandbox(page=False) as sandbox:
        with pytest.raises(SandboxError, match="has no page"):
            _ = sandbox.page_url
        answer = httpx.get(f"{sandbox.url}{sandbox._page_path}", trust_env=False)

    assert answer.status_code == 404
