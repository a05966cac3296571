"""`check` and `preview`: reports of what would be sent."""

import hashlib
import json

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.views import markup


def test_a_clean_file_ends_with_0(cli, people):
    """A file of which every row can be sent is reported as ready."""
    result = cli("check", people, "--call", "identify", "--user-id", "id")

    assert (result.code, result.err) == (0, "")
    assert "Plan: identify · people.csv · ✓ ready" in result.out


def test_left_out_rows_end_with_1(cli, mixed):
    """Rows that would be left out are counted and end with 1."""
    result = cli("check", mixed, "--call", "identify", "--user-id", "id")

    assert result.code == 1
    assert "[reject] id.missing · 1 row" in result.out
    assert "[reject] id.padded · 1 row" in result.out


def test_advice_can_be_typed(cli, mixed):
    """The report advises options of the command line, not the library's functions."""
    result = cli("check", mixed, "--call", "identify", "--user-id", "id")

    assert "--fix id.padded" in result.out
    assert "plan." not in result.out


def test_a_refused_plan_ends_with_3(cli, people):
    """A plan that must not be sent ends with 3."""
    deleted = ("--lit", "event=User Deleted")
    result = cli("check", people, "--call", "track", "--user-id", "id", *deleted)
    allowed = cli(
        "check", people, "--call", "track", "--user-id", "id", *deleted, "--allow", "User Deleted"
    )

    assert (result.code, allowed.code) == (3, 0)
    assert "[refuse] event.destructive" in result.out


def test_a_repair_is_applied(cli, mixed):
    """A repair that is named lets its rows through, and the report says so."""
    result = cli("check", mixed, "--call", "identify", "--user-id", "id", "--fix", "id.padded")

    assert result.code == 1
    assert "Repaired id.padded" in result.out
    assert "[reject] id.padded" not in result.out


def test_json_has_counts_groups_and_findings(cli, mixed):
    """The JSON report holds the same numbers as the plan of the library."""
    result = cli("check", mixed, "--call", "identify", "--user-id", "id", "--format", "json")

    report = json.loads(result.out)
    plan = cio.frame(cio.scan(mixed)).identify(user_id="id")
    assert report["counts"] == plan.counts
    assert report["verdict"] == "rows"
    assert {group["code"] for group in report["groups"]} == set(plan.findings["code"])
    assert [(finding["row"], finding["code"]) for finding in report["findings"]] == list(
        plan.findings.select("row", "code").rows()
    )


@pytest.mark.parametrize("name", ["found.csv", "found.parquet"])
def test_findings_go_to_a_file(cli, mixed, folder, name):
    """Findings can be written to a table instead of into the JSON."""
    result = cli(
        "check", mixed, "--call", "identify", "--user-id", "id", "--format", "json",
        "--findings", name,
    )  # fmt: skip

    report = json.loads(result.out)
    reader = pl.read_csv if name.endswith("csv") else pl.read_parquet
    written = reader(folder / name)
    assert set(written["code"]) >= {"id.missing", "id.padded"}
    assert set(written.select("code", "severity", "message", "hint").dtypes) == {pl.String}
    assert report["findings_file"] == name
    assert "findings" not in report


def test_rejected_rows_go_to_a_file(cli, mixed, folder):
    """The rows that are left out can be written with all their columns and the reasons."""
    cli("check", mixed, "--call", "identify", "--user-id", "id", "--rejected", "left.csv")

    left = pl.read_csv(folder / "left.csv")
    assert left["email"].to_list() == ["bob@example.com", "eve@example.com"]
    assert left["reasons"].to_list() == ["id.missing", "id.padded"]


def test_html_is_a_page(cli, folder):
    """The HTML report is a whole page in which values are escaped."""
    (folder / "x.csv").write_text("id,note\n <script>alert(1)</script>,a\n")
    result = cli(
        "check", "x.csv", "--call", "identify", "--user-id", "id", "--format", "html",
        "--output", "x.html",
    )  # fmt: skip

    page = (folder / "x.html").read_text()
    assert result.out == ""
    assert page.startswith("<!doctype html>")
    assert "<script>" not in page.replace(str(markup._script()), "", 1)
    assert "&lt;script&gt;" in page


def test_preview_shows_what_is_sent(cli, people):
    """The messages of the preview are, byte for byte, those of the library."""
    result = cli("preview", people, "--call", "identify", "--user-id", "id", "--rows", 2)

    plan = cio.frame(cio.scan(people)).identify(user_id="id")
    assert result.code == 0
    assert [line.strip() for line in result.out.splitlines() if '"messageId"' in line] == (
        plan.pipeline.messages(2)
    )


def test_preview_as_json(cli, people):
    """The preview as JSON has the mapping and the messages."""
    result = cli("preview", people, "--call", "identify", "--rows", 1, "--format", "json")

    report = json.loads(result.out)
    assert report["messages"][0]["userId"] == "u1"
    assert {"field": "userId", "column": "id"}.items() <= report["mapping"][0].items()


def test_preview_without_a_message_ends_with_1(cli, folder):
    """Where no row can be sent, the preview says so."""
    (folder / "none.csv").write_text("id,plan\n,pro\n,free\n")
    result = cli("preview", "none.csv", "--call", "identify", "--user-id", "id")

    assert result.code == 1
    assert "No row can be sent." in result.out


def test_globs_are_one_table(cli, folder, people):
    """A glob, and several files, are read as one table."""
    (folder / "people2.csv").write_text(people.read_text())
    globbed = cli("check", "people*.csv", "--call", "identify", "--format", "json")
    listed = cli("check", "people.csv", "people2.csv", "--call", "identify", "--format", "json")

    assert [json.loads(result.out)["counts"]["rows"] for result in (globbed, listed)] == [6, 6]
    assert json.loads(listed.out)["source"] == "people.csv, people2.csv"


ORDER = {
    "who": ["u1"], "what": ["Ordered"], "at": ["2026-01-02T03:04:05Z"], "total": [9.5],
    "tier": ["pro"], "ip": ["192.0.2.1"], "last, first": ["L"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            ("track", "--user-id", "who", "--event", "what", "--properties", "total,plan=tier"),
            {"event": "Ordered", "properties": {"total": 9.5, "plan": "pro"}},
            id="columns-and-renamed-columns",
        ),
        pytest.param(
            ("track", "--user-id", "who", "--lit", "event=Order Completed", "--properties", ""),
            {"event": "Order Completed", "userId": "u1"},
            id="constant-and-no-properties",
        ),
        pytest.param(
            ("track", "--lit", "user-id=u=9", "--event", "what", "--properties", '"last, first"'),
            {"userId": "u=9", "properties": {"last, first": "L"}},
            id="constant-with-an-equals-sign-and-column-with-a-comma",
        ),
        pytest.param(
            ("identify", "--user-id", "who", "--traits", "", "--context", "ip=ip",
             "--lit", "context.page.url=https://example.com"),
            {"context": {"ip": "192.0.2.1", "page": {"url": "https://example.com"}}},
            id="context-of-a-column-and-a-constant",
        ),
        pytest.param(
            ("identify", "--user-id", "who", "--traits", "total", "--integrations", "All=false"),
            {"integrations": {"All": False}},
            id="integrations",
        ),
        pytest.param(
            ("group", "--lit", "group-id=acme", "--user-id", "who", "--traits", "total",
             "--relationship", "role=tier"),
            {"traits": {"total": 9.5, "relationshipAttributes": {"role": "pro"}}},
            id="relationship",
        ),
        pytest.param(
            ("track", "--user-id", "who", "--event", "what", "--timestamp", "at",
             "--properties", "total"),
            {"timestamp": "2026-01-02T03:04:05.000Z"},
            id="timestamp",
        ),
    ],
)  # fmt: skip
def test_options_become_arguments(cli, folder, options, expected):
    """The message has the columns and constants of the options."""
    pl.DataFrame(ORDER).write_parquet(folder / "orders.parquet")
    result = cli("preview", "orders.parquet", "--format", "json", "--call", *options)

    assert result.code == 0, result.err
    message = json.loads(result.out)["messages"][0]
    assert expected.items() <= message.items()


def test_nulls_are_sent_for_one_column(cli, people):
    """An empty cell clears the value only where that was asked for."""
    result = cli(
        "preview", people, "--call", "identify", "--user-id", "id", "--nulls", "plan=send",
        "--format", "json",
    )  # fmt: skip

    assert json.loads(result.out)["messages"][1]["traits"] == {
        "email": "bob@example.com",
        "plan": None,
    }


def test_severity_can_be_raised(cli, people):
    """A severity that is raised changes the outcome; a plan without a row to send must be fixed."""
    (people.parent / "guests.csv").write_text("id,plan\nguest,pro\nu1,pro\n")
    (people.parent / "guest.csv").write_text("id,plan\nguest,pro\n")
    options = ("guests.csv", "--call", "identify", "--user-id", "id")

    assert cli("check", *options).code == 0
    assert cli("check", *options, "--severity", "id.nobody=reject").code == 1
    assert cli("check", "guest.csv", *options[1:], "--severity", "id.nobody=reject").code == 3


@pytest.mark.parametrize("threshold", ["0.5", "id.missing=0.1"])
def test_too_many_failing_rows_refuse_the_plan(cli, mixed, threshold):
    """A share of failing rows beyond the threshold refuses the whole plan."""
    result = cli(
        "check", mixed, "--call", "identify", "--user-id", "id", "--threshold", threshold
    )  # fmt: skip

    assert result.code == 3


def test_sensitive_data_is_let_through_with_a_reason(cli, folder):
    """A column of card numbers is refused until a reason is given."""
    (folder / "cards.csv").write_text("id,note\nu1,4111 1111 1111 1111\n")
    options = ("cards.csv", "--call", "identify", "--user-id", "id")
    refused = cli("check", *options)
    allowed = cli("check", *options, "--allow-sensitive", "note=test numbers")

    assert (refused.code, allowed.code) == (3, 0)
    assert '--allow-sensitive "note=the reason"' in " ".join(refused.out.split())


def test_a_column_is_hashed(cli, people):
    """A column that is named for it leaves as its SHA-256, and commas part several."""
    words = ("--call", "identify", "--user-id", "id", "--hash", "email,plan")
    result = cli("preview", people, *words)

    assert result.code == 0
    assert hashlib.sha256(b"ada@example.com").hexdigest() in result.out
    assert "ada@example.com" not in result.out


def test_the_advice_to_hash_can_be_typed(cli, folder):
    """Where sensitive data is refused, the report names the option that hashes it."""
    path = folder / "cards.csv"
    path.write_text("id,card\nu1,4111 1111 1111 1111\n")

    result = cli("check", path, "--call", "identify", "--user-id", "id")
    hashed = cli("check", path, "--call", "identify", "--user-id", "id", "--hash", "card")

    assert (result.code, hashed.code) == (3, 0)
    assert '--hash "card"' in result.out
