"""Files that are awkward in one way: quotes, encodings, totals, ids that look like cards, and ordinary words."""

from collections.abc import Mapping
from typing import Any

import cio_frames as cio
from tests.corpus.export import Column, Export, Findings, Grid, generated, lines, written

REPORT = "Contacts of May"


def people(columns: Mapping[str, Column | str], **more: Any) -> Grid:
    """Return a table of people with an id each, and more columns."""
    return generated({"user_id": lambda p: f"u{p.place}", **columns}, **more)


def tame(source: str, grid: Grid, *, expected: Findings | None = None, **more: Any) -> Export:
    """Return a file of people that is identified by its first column."""
    given = {"file": "people.csv", "content": written(grid), "asked": {"user_id": grid.names[0]}}
    known = {"person": (grid.names[0],), **given, **more}
    return Export(source=source, grid=grid, expected=expected or {}, **known)


NAMED: dict[str, Column | str] = {"first_name": lambda p: p.first, "last_name": lambda p: p.last}
PAID: dict[str, Column | str] = {
    "plan": lambda p: p.pick("pro", "free"),
    "paid": lambda p: p.money(),
}


def ordinary() -> list[Export]:
    """Return tables in which nothing is wrong, though it looks so."""
    return [
        tame("first names Nat, Null, True, May", people(NAMED)),
        tame("province ON", people({"Province": "ON", **PAID})),
        tame("country NO", people({"Country": lambda p: p.pick("NO", "NO", "SE"), **PAID})),
        tame("phones of Brazil", people({"whatsapp": lambda p: f"+55 ({p.dice.randrange(11, 99)}) 9{p.digits(4)}-{p.digits(4)}", **PAID})),
        tame("phones as people write them", people({"Telephone": lambda p: p.pick("(212) 555-0142", "212.555.0142 ext. 7", "020 7946 0456", "+1 212 555 0142"), **PAID})),
        tame("stock codes", people({"StockCode": lambda p: p.pick("85123A", "71053", "84029G", "22752"), "Product code": lambda p: p.pick("1234-5", "77", "ABC"), **PAID})),
        tame("postal codes of several countries", people({"postcode": lambda p: p.pick("90210", "H3B 1A1", "SW1A 1AA", "02139", "1010 AB"), **PAID})),
        tame("UUIDs", generated({"rowguid": lambda p: p.uuid().upper(), "user_id": lambda p: str(p.place + 1), **NAMED, **PAID}), asked={"user_id": "user_id"}, person=("user_id",)),
        tame("ids of 18 digits", generated({"user_id": lambda p: p.digits(18), "guild_id": lambda p: p.digits(18), "message_count": lambda p: p.dice.randrange(900)})),
        tame("device numbers", people({"imei": lambda p: f"35{p.digits(13)}", "iccid": lambda p: f"8947{p.digits(15)}", "order": lambda p: p.digits(13), "trace": lambda p: p.digits(16)}), expected={"number.large": ("trace",)}),
        tame("EAN and ISBN", people({"ean": lambda p: p.digits(13), "isbn": lambda p: p.pick("978-3-16-148410-0", "3-598-21508-8"), **PAID})),
        tame("versions and prices", people({"app_version": lambda p: p.pick("3.10", "3.1", "3.2"), "price": lambda p: p.pick("10.00", "9.50", "0.99")})),
        tame("notes of several lines", people({"note": lambda p: p.pick("First, call.\nThen write.\r\nDone", 'She said "no".', '5" pipe', "- none of it -"), **PAID})),
        tame("months and days", people({"birth_month": lambda p: p.pick("May", "March"), "best_day": lambda p: p.pick("Sun", "Sat", "Mon"), **PAID})),
        tame("sizes and grades", people({"size": lambda p: p.pick("S", "M", "L", "T"), "grade": lambda p: p.pick("A", "F", "B"), "blood": lambda p: p.pick("red", "blue")})),
        tame("ranges and fractions", people({"age": lambda p: p.pick("18-24", "25-34", "65+"), "employees": lambda p: p.pick("1-10", "11-50", "10,000+"), "shoe": lambda p: p.pick("7 1/2", "9")})),
        tame("names of companies", people({"company": lambda p: p.pick("3M", "7-Eleven", "Null & Sons", "N/A Records", "@home", "1&1", "A&W", "Yes", "Total")})),
        tame("links and user agents", people({"url": lambda p: f"https://example.com/a?b={p.place}&copy=1#x", "agent": "Mozilla/5.0 (X11; Linux x86_64)", "handle": lambda p: f"@{p.slug}"})),
        tame("emoji and other scripts", people({"name": lambda p: p.pick("山田太郎", "Ωμέγα", "Анна", "عمر", "Zoë 🎉"), **PAID})),
        tame("hashes and tokens of sessions", people({"hash": lambda p: p.hex(64), "session": lambda p: p.hex(32), "short": lambda p: p.hex(8)})),
        tame("coordinates and addresses of machines", people({"lat": lambda p: f"{p.dice.random() * 80:.6f}", "ip": lambda p: f"203.0.113.{p.place % 250}", "mac": "00:1B:44:11:3A:B7"})),
        tame("money of several countries", people({"balance": lambda p: f"-{p.money()}", "vat": lambda p: p.pick("19", "7"), "iso": lambda p: p.pick("EUR", "USD")})),
        tame("opening hours and durations", people({"opens": lambda p: p.pick("09:00", "10:30"), "lasts": lambda p: p.pick("1:30:00", "0:45:12"), "iso": lambda p: p.pick("PT1H", "P3D")})),
    ]  # fmt: skip


def wrong() -> list[Export]:
    """Return tables in which something is wrong that must be reported."""
    luhn = ("4111111111111111", "5555555555554444", "4012888888881881", "378282246310005")
    iban = ("DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606")
    return [
        tame("cards", people({"card": lambda p: p.pick(*luhn), **PAID}), expected={"sensitive.card": ("card",)}, rejected=240),
        tame("cards in notes", people({"note": lambda p: p.pick("", "", "paid with 4111 1111 1111 1111 in May"), **PAID}), expected={"sensitive.card": ("note",)}, rejected=84),
        tame("bank accounts", people({"account": lambda p: p.pick(*iban), **PAID}), expected={"sensitive.iban": ("account",)}, rejected=240),
        tame("numbers of citizens", people({"ssn": lambda p: f"{p.dice.randrange(100, 600)}-{p.dice.randrange(10, 99)}-{p.dice.randrange(1000, 9999)}", **PAID}), expected={"sensitive.national-id": ("ssn",), "sensitive.identity-column": ("ssn",)}, rejected=240),
        tame("passwords", people({"password": lambda p: f"$2b$12${p.hex(53)}", **PAID}), expected={"sensitive.secret": ("password",), "sensitive.secret-column": ("password",)}, rejected=240),
        tame("places of templates", generated({"user_id": lambda p: p.pick("{{customer.id}}", f"u{p.place}"), "city": lambda p: p.pick("${city}", "Rome")}, rows=40), expected={"id.placeholder": ("user_id",), "value.placeholder": ("city",)}, rejected=27),
        tame("errors of spreadsheets", generated({"user_id": lambda p: f"u{p.place}", "score": lambda p: p.pick("#REF!", "#DIV/0!", "Loading...", "7", "8", "9")}), expected={"value.placeholder": ("score",)}),
        tame("guarded ids", generated({"Customer No": lambda p: f'="00{p.place:03}"', **PAID}), expected={"id.guarded": ("Customer No",)}, rejected=240),
        tame("ids that lost zeros", generated({"customer_id": lambda p: f"{p.place + 1:04}" if p.place % 3 else f"{p.place + 1}", **PAID}), expected={"id.zeros-mixed": ("customer_id",)}),
        tame("postal codes that lost zeros", people({"zip": lambda p: p.zip if p.place % 4 else p.zip.lstrip("0"), **PAID}), expected={"value.zeros-mixed": ("zip",)}),
        tame("people who come twice", generated({"user_id": lambda p: f"u{p.place // 2}", **PAID}), expected={"id.duplicate": ("user_id",)}),
        tame("ids in two cases", generated({"user_id": lambda p: f"{'A' if p.place % 2 else 'a'}{p.place // 2}x", **PAID}), expected={"id.case-variants": ("user_id",)}),
        tame("a few ids unlike the others", generated({"user_id": lambda p: f"cus_{p.hex(14)}" if p.place % 120 else f"{p.place} test", **PAID}), expected={"id.unlike": ("user_id",)}),
        tame("mojibake", people({"city": lambda p: p.pick("MÃ¼nchen", "SÃ£o Paulo", "Rome"), **PAID}), expected={"text.mojibake": ("city",)}),
        tame("unsubscribed in words", people({"unsubscribed": lambda p: p.pick("yes", "no"), **PAID}), expected={"trait.unsubscribed-word": ("unsubscribed",)}, rejected=240),
        tame("milliseconds", people({"created_at": lambda p: int(p.at.timestamp() * 1000), **PAID}), expected={"trait.milliseconds": ("created_at",)}),
        tame("times of an American spreadsheet", people({"created_at": lambda p: f"{p.at:%m/%d/%Y %I:%M:%S %p}", **PAID}), expected={"time.month-first": ("created_at",)}, rejected=240),
        tame("phones that no message reaches", people({"phone": lambda p: p.pick("5551234", "(212) 555-0142", p.us_phone), **PAID}), expected={"trait.phone-form": ("phone",)}),
        tame("formulas", people({"bio": lambda p: p.pick('=HYPERLINK("http://x.example","a")', "@SUM(1+1)", "hello"), **PAID}), expected={"text.formula": ("bio",)}),
        tame("addresses badly written", generated({"email": lambda p: p.email if p.place % 20 else f"{p.slug} at example", **PAID}), expected={"email.invalid": ("email",)}),
        tame("prices with signs", people({"price": lambda p: f"${p.money()}"}), expected={"column.numbers-as-text": ("price",)}),
        tame("one stray word in a column of numbers", people({"score": lambda p: "n.a. yet" if p.place == 77 else str(p.place)}), expected={"column.stray-text": ("score",)}),
    ]  # fmt: skip


def layouts() -> list[Export]:
    """Return tables with more around them, or written in another way, than plain CSV."""
    grid = people({**NAMED, **PAID})
    german = people(
        {
            "name": lambda p: p.pick("Jürgen Groß", "Zoë Öz"),
            "umsatz": lambda p: p.money().replace(".", ","),
            "ort": lambda p: p.pick("Köln", "Graz"),
        }
    )
    twice = Grid(grid.names, [*grid.rows, *grid.rows[:40]])
    many = Grid(grid.names, grid.rows + [[f"v{row[0]}", *row[1:]] for row in grid.rows])
    money = {"column.numbers-as-text": ("umsatz",)}
    nulls = Grid(
        grid.names,
        [
            [*row[:3], "\\N" if place % 3 else row[3], *row[4:]]
            for place, row in enumerate(grid.rows)
        ],
    )
    unnamed = Grid([f"column_{place + 1}" for place in range(5)], grid.rows)
    return [
        tame("Google Sheets", grid, content=written(grid, end="\r\n")[:-2]),
        tame("all cells in quotes", grid, content=written(grid, all_quoted=True)),
        tame("Excel of Germany", german, content=written(german, separator=";", encoding="cp1252", end="\r\n"), options={"encoding": "cp1252"}, expected={**money, "file.separator": ("",)}),
        tame("Excel of Germany with sep=", german, content=b"sep=;\r\n" + written(german, separator=";", end="\r\n"), expected=money),
        tame("UTF-16 of Excel", grid, content=written(grid, separator="\t", encoding="utf-16"), options={"encoding": "utf-16"}, expected={"file.separator": ("",)}),
        tame("tabs", grid, file="people.tsv", content=written(grid, separator="\t")),
        tame("bars and \\N of a database", nulls, content=written(nulls, separator="|"), expected={"file.separator": ("",), "value.placeholder": ("plan",), "column.placeholders": ("plan",)}),
        tame("a title above", grid, content=f"{REPORT}\nMade on 2024-05-01\n\n".encode() + written(grid), expected={"file.preamble": ("",)}),
        tame("a total below", grid, content=written(grid, after="Total,,,,9999.00\n"), expected={"file.footer": ("",)}),
        tame("rows counted at the end", grid, content=written(grid, after="(240 rows)\n"), expected={"file.footer": ("",)}),
        tame("two files in one", many, content=written(grid) + written(Grid(grid.names, many.rows[240:])), expected={"file.header-repeated": ("",)}),
        tame("rows that come again", twice, expected={"message.duplicate": ("",), "id.duplicate": ("user_id",)}),
        tame("no header", unnamed, content=written(grid, header=False), expected={"file.no-header": ("",)}, person=()),
        tame("trailing separators", grid, content=written(grid).replace(b"\n", b",\n"), expected={"file.trailing-separators": ("",)}),
        tame("a row of units", grid, content=written(Grid(grid.names, [["", "", "", "", "[EUR]"], *grid.rows])), expected={"file.units": ("",)}),
        tame("backslashes before quotes", lines("user_id|note", 'u1|say "hi", Ann', 'u2|5" pipe', "u3|x"), content=b'user_id,note\nu1,"say \\"hi\\", Ann"\nu2,"5\\" pipe"\nu3,x\n', expected={"file.backslash": ("",)}),
        tame("header alone", Grid(grid.names, []), content=b",".join(name.encode() for name in grid.names) + b"\n"),
        tame("Greek of Windows", _greek(), content=written(_greek(), encoding="cp1253"), options={"encoding": "cp1253"}),
        tame("Chinese of Taiwan", _chinese(), content=written(_chinese(), encoding="big5"), options={"encoding": "big5"}),
        tame("the Mac of old", _mac(), content=written(_mac(), encoding="mac_roman"), options={"encoding": "mac_roman"}),
    ]  # fmt: skip


def _greek() -> Grid:
    return people(
        {
            "name": lambda p: p.pick("Γιώργος Παππάς", "Ελένη Νικολάου"),
            "city": lambda p: p.pick("Αθήνα", "Πάτρα"),
        }
    )


def _chinese() -> Grid:
    return people(
        {
            "name": lambda p: p.pick("陳大文", "林小姐", "王先生"),
            "city": lambda p: p.pick("台北", "高雄"),
        }
    )


def _mac() -> Grid:
    return people(
        {
            "name": lambda p: p.pick("José Gómez", "Zoë Müller", "François"),
            "city": lambda p: p.pick("São Paulo", "Köln"),
        }
    )


def refused() -> list[Export]:
    """Return files that hold no table, or of which nobody can say which one."""
    page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>...</form></body></html>\n"
    cases: list[tuple[str, bytes, str]] = [
        ("a web page", page, "web page|HTML"),
        (
            "an error as JSON",
            b'{"error": {"code": 401, "message": "token expired, sign in"}}\n',
            "token expired|JSON",
        ),
        (
            "an error of S3",
            b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n',
            "XML",
        ),
        ("a quote that is not closed", b'user_id,note\nu1,"b\nu2,c\nu3,"d"\n', "line"),
        (
            "pizza of 12 inches",
            b'user_id,note\nu1,"a 12" pizza"\nu2,b\nu3,"a 14" pizza"\n',
            "line 2",
        ),
        ("Greek without a word", written(_greek(), encoding="cp1253"), r"encoding=\"cp1253\"|1253"),
        ("Chinese without a word", written(_chinese(), encoding="big5"), "big5"),
        ("the Mac of old without a word", written(_mac(), encoding="mac_roman"), "mac"),
        ("a file of Excel", b"PK\x03\x04" + bytes(200), "Excel|ZIP"),
        ("an empty file", b"", "empty"),
        ("rows of several widths", b"user_id,a\nu1,1\nu2,2,3,4\nu3,5\n", "line 3"),
    ]
    return [
        Export(source=source, file="export.csv", content=content, refused=words)
        for source, content, words in cases
    ]


def events() -> list[Export]:
    """Return tables of events in which nothing is wrong but the expected findings."""
    grid = generated(
        {
            "event": lambda p: p.pick("Opened", "Closed"),
            "email": lambda p: p.email,
            "at": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%SZ}",
            "sender_email": "staff@example.com",
            "amount": lambda p: p.money(),
        }
    )
    local = generated(
        {
            "event": "Bought",
            "member_no": lambda p: f"{p.place + 1000}",
            "when": lambda p: f"{p.at:%d.%m.%Y %H:%M}",
            "amount": lambda p: p.money(),
        }
    )
    asked: dict[str, Any] = {"event": "event"}
    return [
        Export(source="events in order", file="events.csv", content=written(grid), grid=grid, call="track", asked={**asked, "user_id": "email", "timestamp": "at"}, person=("email",), time=("at",)),
        Export(source="days before months", file="events.csv", content=written(local), grid=local, call="track", asked={**asked, "user_id": "member_no", "timestamp": "when"}, expected={"time.day-first": ("when",)}, rejected=240, person=("member_no",), time=("when",)),
        Export(source="events without a time", file="events.csv", content=written(local), grid=local, call="track", asked={"event": cio.lit("Bought"), "user_id": "member_no"}, expected={"time.now": ("",), "time.unmapped": ("when",)}, person=("member_no",), time=("when",)),
    ]  # fmt: skip


EXPORTS = tuple(
    (lambda export=export: export)
    for make in (ordinary, wrong, layouts, refused, events)
    for export in make()
)
