"""Files that spreadsheets, databases and people have damaged, and languages and layouts of the world."""

import gzip

import cio_frames as cio
from tests.corpus.awkward import NAMED, PAID, people, tame
from tests.corpus.export import Export, Grid, generated, written


def damaged() -> list[Export]:
    """Return tables that a program has damaged, which must be reported."""
    return [
        tame("ids rounded by Excel", generated({"customer_id": lambda p: "6.12345E+12" if p.place % 3 else f"c{p.place}", **PAID}), expected={"id.scientific": ("customer_id",)}, rejected=160),
        tame("phones rounded by Excel", people({"phone": lambda p: p.pick("4.47701E+11", p.us_phone), **PAID}), expected={"trait.phone-form": ("phone",)}),
        tame("dates that Excel made of ranges", people({"size": lambda p: p.pick("1-10", "11-50", "10-Jan", "5-Nov"), **PAID})),
        tame("zero dates of MySQL", people({"created_at": lambda p: p.pick("0000-00-00 00:00:00", f"{p.at:%Y-%m-%d %H:%M:%S}"), **PAID}), expected={"trait.created-unread": ("created_at",), "trait.time-space": ("created_at",)}),
        tame("dates of no day", people({"born": lambda p: p.pick("1990-02-30", "1990-03-01"), **PAID}), expected={"trait.time-impossible": ("born",), "trait.date-only": ("born",)}),
        tame("the word NULL for ids", generated({"user_id": lambda p: "NULL" if p.place % 6 == 0 else f"u{p.place}", **PAID}), expected={"id.placeholder": ("user_id",)}, rejected=40),
        tame("ids with spaces around", generated({"user_id": lambda p: f" u{p.place}" if p.place % 6 == 0 else f"u{p.place}", **PAID}), expected={"id.padded": ("user_id",)}, rejected=40),
        tame("addresses in brackets", generated({"email": lambda p: f"{p.first} <{p.email}>" if p.place % 6 == 0 else p.email, **PAID}), expected={"email.invalid": ("email",)}),
        tame("addresses with mailto", generated({"email": lambda p: f"mailto:{p.email}" if p.place % 6 == 0 else p.email, **PAID}), expected={"email.wrapped": ("email",)}, rejected=40),
        tame("one address for everybody", generated({"user_id": lambda p: f"u{p.place}", "email": lambda p: "shop@example.com" if p.place % 2 else p.email}), expected={"person.shared-email": ("user_id",)}),
        tame("several addresses of a person", generated({"user_id": lambda p: f"u{p.place // 2}", "email": lambda p: p.email}), expected={"id.duplicate": ("user_id",), "person.many-emails": ("email",)}),
        tame("web pages in cells", people({"bio": lambda p: p.pick("<p>Hello <b>you</b></p>", "Tea &amp; cups", "fine"), **PAID}), expected={"text.markup": ("bio",), "text.entity": ("bio",)}),
        tame("characters that are lost", people({"city": lambda p: p.pick("M\ufffdnchen", "Rome"), **PAID}), expected={"text.lost-character": ("city",)}),
        tame("bytes of nothing", people({"city": lambda p: p.pick("Ro\x00me", "Oslo"), **PAID}), expected={"text.control": ("city",)}),
        tame("spaces at the ends", people({"city": lambda p: p.pick("Rome ", "Rome", " Oslo"), **PAID}), expected={"value.padded": ("city",)}),
        tame("a secret key", people({"note": lambda p: p.pick("", "", f"sk_live_{p.hex(24)}"), **PAID}), expected={"sensitive.secret": ("note",)}, rejected=90),
        tame("what doctors write", people({"diagnosis": lambda p: p.pick("flu", "cold"), **PAID}), expected={"sensitive.health-column": ("diagnosis",)}),
        tame("topics in columns", people({"cio_subscription_preferences.topics.topic_1": lambda p: p.pick("true", "no"), **PAID}), expected={"trait.unsubscribed-word": ("cio_subscription_preferences.topics.topic_1",)}, rejected=115),
        tame("names that are nearly the same", people({"Plan": lambda p: p.pick("a", "b"), "plan": lambda p: p.pick("a", "b"), "paid": lambda p: p.money()}), expected={"name.variants": ("",)}),
        tame("an id that belongs to Customer.io", people({"cio_id": lambda p: p.hex(12), "id": lambda p: p.place, **PAID}), expected={"name.reserved": ("cio_id", "id")}),
        tame("people with decimals as ids", generated({"user_id": lambda p: f"{p.place + 1000}.0", **PAID}), expected={"id.float-text": ("user_id",)}, rejected=240),
        tame("a total among the rows", generated({"user_id": lambda p: "Total" if p.place == 239 else f"u{p.place}", **PAID}), expected={"id.unlike": ("user_id",), "file.footer": ("",)}),
        tame("percents and thousands", people({"share": lambda p: f"{p.dice.randrange(100)}%", "sales": lambda p: f"{p.dice.randrange(1000, 9999):,}"}), expected={"column.numbers-as-text": ("share", "sales")}),
    ]  # fmt: skip


def of_the_world() -> list[Export]:
    """Return ordinary tables of other languages, layouts and programs."""
    japanese = generated(
        {
            "お客様番号": lambda p: f"K{p.place:05}",
            "氏名": lambda p: p.pick("山田太郎", "佐藤花子"),
            "電話番号": lambda p: f"090-{p.digits(4)}-{p.digits(4)}",
            "都道府県": lambda p: p.pick("東京都", "大阪府"),
        }
    )
    german = generated(
        {
            "Kundennummer": lambda p: f"{p.place + 10_000}",
            "Vorname": lambda p: p.first,
            "Nachname": lambda p: p.last,
            "PLZ": lambda p: p.pick("01067", "10115", "80331"),
            "Ort": lambda p: p.city,
            "Umsatz": lambda p: f"{p.dice.randrange(1, 9)}.{p.dice.randrange(100, 999)},50 €",
            "Newsletter": lambda p: p.pick("ja", "nein"),
            "Erstellt am": lambda p: f"{p.at:%d.%m.%Y}",
        }
    )
    french = generated(
        {
            "Identifiant": lambda p: f"F-{p.place}",
            "Prénom": lambda p: p.first,
            "Ville": lambda p: p.pick("Orléans", "Évry"),
            "Téléphone": "06 12 34 56 78",
            "Opt-in": lambda p: p.pick("oui", "non"),
        }
    )
    shift = Grid(japanese.names, [[*row[:1], row[1], *row[2:]] for row in japanese.rows])
    sheet = people({**NAMED, **PAID})
    return [
        tame("a table of Japan", japanese),
        tame("Shift JIS", shift, content=written(shift, encoding="shift_jis"), options={"encoding": "shift_jis"}),
        tame("a shop of Germany", german, content=written(german, separator=";"), expected={"file.separator": ("",), "column.numbers-as-text": ("Umsatz",), "column.truth-as-text": ("Newsletter",), "trait.consent": ("Newsletter",), "trait.date-written": ("Erstellt am",)}),
        tame("a list of France", french, content=written(french, separator=";", encoding="utf-8-sig"), expected={"file.separator": ("",), "column.truth-as-text": ("Opt-in",), "trait.consent": ("Opt-in",)}),
        tame("packed with gzip", sheet, file="people.csv.gz", content=gzip.compress(written(sheet), mtime=0)),
        tame("text with tabs", sheet, file="people.txt", content=written(sheet, separator="\t"), expected={"file.separator": ("",)}),
        tame("one column of addresses", generated({"email": lambda p: p.email})),
        tame("names with spaces around", Grid([f" {name}" for name in sheet.names], sheet.rows), expected={"name.odd": (" first_name", " last_name", " plan", " paid")}),
        tame("comments of a tool", sheet, content=b"# made by a tool\n# 2024\n" + written(sheet), expected={"file.preamble": ("",)}),
        tame("lists apart by semicolons", people({"tags": lambda p: p.pick("a;b;c", "b", "a;c"), "path": lambda p: p.pick("Home > Tea > Green", "Home"), **PAID})),
        tame("choices as names", people({"Tea": lambda p: p.pick("Tea", ""), "Rum": lambda p: p.pick("Rum", ""), "Sum": lambda p: p.dice.randrange(9)})),
        tame("flags of 0 and 1", people({"is_member": lambda p: p.pick("0", "1"), "opted_in": lambda p: p.pick("0", "1"), "score": lambda p: p.pick("-1", "0", "1")}), expected={"trait.consent": ("opted_in",)}),
        tame("ids of several kinds of program", generated({"user_id": lambda p: f"user_{p.hex(24)}", "org": lambda p: f"org_2{p.hex(20)}", "mongo": lambda p: p.hex(24), "ulid": lambda p: f"01HQ{p.hex(22).upper()}", "nano": lambda p: f"{p.hex(10)}_-{p.hex(9)}"})),
        tame("money with signs before and after", people({"debit": lambda p: f"({p.money()})", "credit": lambda p: f"{p.money()} EUR"}), expected={"column.numbers-as-text": ("debit", "credit")}),
    ]  # fmt: skip


def streams() -> list[Export]:
    """Return events of other shapes."""
    web = generated(
        {
            "visitor": lambda p: p.uuid(),
            "timestamp": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%S}+01:00",
            "page": lambda p: p.pick("/", "/tea"),
            "user_email": lambda p: p.email,
            "rep_email": lambda p: p.pick("kim@example.org", "ola@example.org"),
        }
    )
    weekly = generated(
        {
            "contact_id": lambda p: f"c{p.place}",
            "event_name": lambda p: p.pick("Opened", "Clicked"),
            "date": lambda p: f"{p.at:%Y-%m-%d}",
            "count": lambda p: p.dice.randrange(9),
        }
    )
    epoch = generated(
        {
            "uid": lambda p: f"u{p.place}",
            "name": lambda p: p.pick("Opened", "Clicked"),
            "ts": lambda p: int(p.at.timestamp() * 1000),
        }
    )
    return [
        Export(source="events with two addresses", file="visits.csv", content=written(web), grid=web, call="track", asked={"event": cio.lit("Visit"), "user_id": "user_email", "timestamp": "timestamp"}, person=("user_email", "visitor"), time=("timestamp",)),
        Export(source="events by day", file="days.csv", content=written(weekly), grid=weekly, call="track", asked={"event": "event_name", "user_id": "contact_id", "timestamp": "date"}, expected={"time.date-only": ("date",)}, person=("contact_id",), time=("date",)),
        Export(source="events in milliseconds", file="events.csv", content=written(epoch), grid=epoch, call="track", asked={"event": "name", "user_id": "uid", "timestamp": "ts"}, expected={"time.epoch": ("ts",)}, person=("uid",), time=("ts",)),
    ]  # fmt: skip


def refused() -> list[Export]:
    """Return more files that hold no table that can be read."""
    german = written(
        generated(
            {
                "name": lambda p: p.pick("Jürgen Groß", "Zoë Öz"),
                "ort": lambda p: p.pick("Köln", "Graz"),
            }
        ),
        encoding="cp1252",
    )
    cases: list[tuple[str, bytes, str]] = [
        ("Windows without a word", german, "1252"),
        ("two columns of one name", b"user_id,plan,plan\nu1,a,b\n", "plan"),
        ("UTF-16 without a word", "user_id,plan\nu1,a\n".encode("utf-16"), "utf-16"),
        ("two encodings in one", "user_id,city\nu1,Köln\n".encode() + "u2,Köln\n".encode("cp1252"), "UTF-8"),
        ("a PDF", b"%PDF-1.7\n%abc\n", "PDF"),
        ("a page of an error", b"<html>\n<head><title>502 Bad Gateway</title></head></html>", "HTML|web page"),
        ("a list of errors", b'[{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]', "JSON|expired"),
    ]  # fmt: skip
    return [Export(source=source, file="export.csv", content=content, refused=words) for source, content, words in cases]  # fmt: skip


EXPORTS = tuple(
    (lambda export=export: export)
    for make in (damaged, of_the_world, streams, refused)
    for export in make()
)
