"""Messages of every call, byte by byte, from one table that holds every type that can be sent.

After a wanted change of what is written, `CIO_FRAMES_REWRITE_GOLDEN=1 pytest tests/payloads`
writes the files anew; look at the difference before you commit it. Ids are pinned in this file
as well: a change of one means that data sent before is sent again as new, so it needs another
`ID_ALGORITHM` and a word in the change log.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cio_frames.payloads import ID_ALGORITHM

GOLDEN = Path(__file__).parent / "golden"
REWRITE = os.environ.get("CIO_FRAMES_REWRITE_GOLDEN") == "1"
JSON = frozenset({"json"})

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 987_654)  # noqa: DTZ001 - naive on purpose
BEFORE = datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - naive on purpose
AWARE = MOMENT.replace(tzinfo=UTC)
LINE = pl.Struct({"sku": pl.String, "price": pl.Decimal(10, 2), "gift": pl.Boolean})
BOX = pl.Struct({"zip": pl.String, "at": pl.Struct({"lat": pl.Float64, "on": pl.Date})})

COLUMNS: Mapping[str, tuple[Any, list[Any]]] = {
    "id": (pl.String, ["u1", "Ü 2", "u3"]),
    "anon": (pl.String, ["a1", None, "a3"]),
    "old": (pl.String, ["o1", "o2", "o3"]),
    "company": (pl.Int64, [1, 2, 3]),
    "email": (pl.String, ["ada@example.com", "bo+x@example.com", None]),
    "form": (pl.String, ["contact", "über uns/ß?#", "contact"]),
    "event": (pl.Categorical, ["Order Completed", "Seen", "Seen"]),
    "when": (pl.Datetime("us", "UTC"), [AWARE, AWARE, None]),
    "quotes": (pl.String, ['"\\/ \b\f\n\r\t', "\x00\x01\x1f\x7f", None]),
    "unicode": (pl.String, ["👨‍👩‍👧 \u2028\u2029", "é e\u0301 \u202e", None]),
    "empty": (pl.String, ["", " ", None]),
    "small": (pl.Int8, [-128, 127, None]),
    "large": (pl.Int64, [2**53, 2**53 + 1, None]),
    "unsigned": (pl.UInt64, [2**53, 2**64 - 1, None]),
    "huge": (pl.Int128, [-(2**53), -(2**100), None]),
    "vast": (pl.UInt128, [0, 2**127, None]),
    "zero": (pl.Float64, [-0.0, 1e16, None]),
    "tiny": (pl.Float64, [5e-324, 1.7976931348623157e308, float("nan")]),
    "tenth": (pl.Float64, [0.1, 1 / 3, float("inf")]),
    "single": (pl.Float32, [0.1, 16_777_216.0, None]),
    "half": (pl.Float16, [0.5, 65_504.0, None]),
    "price": (pl.Decimal(38, 4), [Decimal("12.5000"), Decimal("12345678901234567.8901"), None]),
    "flag": (pl.Boolean, [True, False, None]),
    "day": (pl.Date, [date(2024, 2, 29), date(1, 1, 1), None]),
    "naive": (pl.Datetime("us"), [MOMENT, BEFORE, None]),
    "millis": (pl.Datetime("ms"), [MOMENT, BEFORE, None]),
    "nanos": (pl.Datetime("ns"), [MOMENT, BEFORE, None]),
    "berlin": (pl.Datetime("ns", "Europe/Berlin"), [AWARE, AWARE, None]),
    "clock": (pl.Time, [time(1, 2, 3), time(23, 59, 59, 999_999), None]),
    "span": (pl.Duration("us"), [timedelta(days=1, seconds=2), timedelta(microseconds=-5), None]),
    "kind": (pl.Enum(["b", "a"]), ["b", "a", None]),
    "tags": (pl.List(pl.String), [["a", None, '"'], [], None]),
    "numbers": (pl.List(pl.Int64), [[1, 2**60, None], [], None]),
    "grid": (pl.List(pl.List(pl.Float64)), [[[1.5, float("nan")], [], None], [], None]),
    "lines": (
        pl.List(LINE),
        [[{"sku": "s", "price": Decimal("1.10"), "gift": None}, None], [], None],
    ),
    "box": (
        BOX,
        [
            {"zip": None, "at": {"lat": -0.0, "on": date(2024, 1, 1)}},
            {"zip": "9", "at": None},
            None,
        ],
    ),
    "pair": (pl.Array(pl.Int32, 2), [[1, None], [3, 4], None]),
    "nothing": (pl.Null, [None, None, None]),
    "json": (pl.String, ['{"a":[1,"x",null]}', '"text"', None]),
    "address.city": (pl.String, ["Köln", None, None]),
    "address.geo.lat": (pl.Float64, [50.9, None, None]),
    'odd "name"': (pl.Int32, [1, 2, None]),
}
TABLE = pl.DataFrame(
    [pl.Series(name, values, dtype=dtype) for name, (dtype, values) in COLUMNS.items()]
)
WHO = ("id", "anon", "old", "company", "email", "form", "event", "when")
DATA = [name for name in COLUMNS if name not in WHO]
TEXTS = [
    name
    for name, dtype in TABLE.schema.items()
    if name in DATA and not dtype.is_nested() and name not in ("json", "nothing")
]
CONTEXT = {"ip": pl.lit("203.0.113.7"), "page.url": "unicode", "active": pl.lit(value=False)}

CALLS: Mapping[str, Mapping[str, Any]] = {
    "identify": {
        "user_id": "id", "anonymous_id": "anon", "timestamp": "when", "body": ["email", *DATA],
        "context": CONTEXT, "integrations": {"All": False, "Slack": "flag"},
    },
    "track": {"user_id": "id", "event": "event", "timestamp": "when", "body": DATA, "nulls": "send"},
    "page": {"user_id": "id", "timestamp": "when", "body": {"url": "unicode", "x.y": "zero"}},
    "screen": {"anonymous_id": "old", "name": "event", "body": ["box", "clock"], "key": ["id", "when"]},
    "group": {
        "group_id": "company", "user_id": "id", "object_type_id": pl.lit(2), "timestamp": "when",
        "body": DATA, "relationship": {"role": "kind", "since": "day"}, "nulls": {"tags": "send"},
    },
    "alias": {"previous_id": "old", "user_id": "id", "message_id": "email"},
    "form": {"form_id": "form", "id": "id", "body": TEXTS, "timezone": "Europe/Berlin"},
}  # fmt: skip

IDS: Mapping[str, list[str]] = {
    "identify": ["01HQVMZ0ZKGHAKCF7DHTYAVJGK", "01HQVMZ0ZKKS0SKXQCNAT7K6A6", "06J99MPW5A0R1MVXVP2E7331RD"],
    "track": ["01HQVMZ0ZK5WZBMDCM2SDTVMMC", "01HQVMZ0ZKNBSHBV2TXPYVAWGQ", "2GTG0PMZBW64BYPT5D9XJP0VK0"],
    "page": ["01HQVMZ0ZK9BRDJQGMAMMNPPYX", "01HQVMZ0ZK24MDKABCJSZ9KPAM", "5E4WH4RWXWW3QKTXAVGPQB8WM1"],
    "screen": ["5ZBEN6DESEX3CKH50C86HH9N8M", "07BADBPHSZESBVQYNXJ2XWN9NT", "4FGF8J16FE5MJS6CKD2879B9NJ"],
    "group": ["01HQVMZ0ZKZNB2ZSWNAMYV30GZ", "01HQVMZ0ZKF090047Z0SFG7W9P", "0BP7WP6FM40WEZK6VXCK33FZZN"],
    "alias": ["ada@example.com", "bo+x@example.com", "0XDF2Y4ASWBY6HMERFSGYEZJ35"],
    "form": ["2PMQHEB5FK7N27WV87S0JM7BQ1", "3VXXXKWF0325KZPZBD9F8T9E3F", "6G8VKWMZYE4HK4QN2GRKDX3CM2"],
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_messages_are_the_golden_ones(encoded, call):
    """Every byte of every message is what the file of its call says."""
    lines = _lines(encoded, call)
    path = GOLDEN / f"{call}.jsonl"
    if REWRITE:
        path.write_bytes(b"".join(line + b"\n" for line in lines))

    assert lines == path.read_bytes().splitlines()


@pytest.mark.parametrize("call", CALLS)
def test_ids_never_change(encoded, call):
    """The message ids are those that were given when this version of the algorithm was made."""
    ids = _messages(encoded, call)["message_id"].to_list()

    assert (ID_ALGORITHM, ids) == ("v1", IDS[call])


def test_golden_files_are_those_of_the_calls():
    """There is one golden file per call and no other."""
    assert sorted(path.stem for path in GOLDEN.glob("*.jsonl")) == sorted(CALLS)


def test_the_table_holds_every_type():
    """Every type of the engine that can be sent has a column in the golden table."""
    kinds = {dtype.base_type() for dtype in TABLE.schema.values()}
    every = {
        pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null, pl.Date, pl.Datetime, pl.Time,
        pl.Duration, pl.Decimal, pl.Float16, pl.Float32, pl.Float64, pl.Int8, pl.Int32, pl.Int64,
        pl.Int128, pl.UInt64, pl.UInt128, pl.List, pl.Array, pl.Struct,
    }  # fmt: skip

    assert kinds == every


@pytest.mark.parametrize("call", [call for call in CALLS if call != "form"])
def test_golden_messages_name_their_call_and_id(call):
    """Every golden message of the Pipelines API is an object with its type and its id."""
    rows = [json.loads(line) for line in (GOLDEN / f"{call}.jsonl").read_bytes().splitlines()]

    assert [(row["type"], row["messageId"]) for row in rows] == [(call, id_) for id_ in IDS[call]]


def _messages(encoded: Any, call: str) -> pl.DataFrame:
    return encoded(TABLE, call, json_columns=JSON, namespace="golden", **CALLS[call])


def _lines(encoded: Any, call: str) -> list[bytes]:
    rows = _messages(encoded, call).select("path", "message_id", "message").rows()
    if call != "form":
        return [message.encode() for _, _, message in rows]
    return [f'{{"path":"{path}","id":"{id_}","body":{body}}}'.encode() for path, id_, body in rows]
