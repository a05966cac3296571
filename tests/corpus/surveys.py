"""Exports of surveys: Qualtrics, SurveyMonkey, Typeform, and one as wide as panels are."""

import json

import cio_frames as cio
from tests.corpus.export import Export, Grid, generated, written


def qualtrics() -> Export:
    """Three rows of header: names, questions, and the ids of the import as JSON."""
    grid = generated(
        {
            "StartDate": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "EndDate": lambda p: f"{p.later(1):%Y-%m-%d %H:%M:%S}",
            "Status": "IP Address",
            "IPAddress": "203.0.113.7",
            "Progress": lambda p: p.pick("100", "40"),
            "Duration (in seconds)": lambda p: p.dice.randrange(900),
            "Finished": lambda p: p.pick("True", "False"),
            "RecordedDate": lambda p: f"{p.later(1):%Y-%m-%d %H:%M:%S}",
            "ResponseId": lambda p: f"R_{p.hex(15)}",
            "RecipientLastName": lambda p: p.last,
            "RecipientFirstName": lambda p: p.first,
            "RecipientEmail": lambda p: p.email,
            "ExternalReference": "",
            "LocationLatitude": lambda p: f"{p.dice.random() * 60:.4f}",
            "DistributionChannel": "email",
            "UserLanguage": lambda p: p.pick("EN", "NO"),
            "Q1": lambda p: p.pick("Very satisfied", "Satisfied", "No"),
            "Q2_1": lambda p: p.pick("", "4", "5"),
            "Q3_TEXT": lambda p: p.pick("", "Good, thanks.\nMay I have more?", "Fine", "-"),
        }
    )
    questions = [f"Question, {name}?" for name in grid.names]
    imports = [json.dumps({"ImportId": name}) for name in grid.names]
    return Export(
        source="Qualtrics", file="qualtrics.csv",
        content=written(Grid(grid.names, [questions, imports, *grid.rows])), grid=grid,
        call="track",
        asked={"event": cio.lit("Survey Answered"), "user_id": "RecipientEmail", "timestamp": "RecordedDate"},
        expected={
            "file.header-rows": ("",),
            "time.naive-text": ("RecordedDate",),
            "trait.time-space": ("StartDate", "EndDate"),
            "value.placeholder": ("Q3_TEXT",),
        },
        person=("RecipientEmail",), time=("RecordedDate", "EndDate", "StartDate"),
    )  # fmt: skip


def surveymonkey() -> Export:
    """Two rows of header, and times as Americans write them."""
    grid = generated(
        {
            "Respondent ID": lambda p: f"11850{p.place:07}",
            "Collector ID": "409876543",
            "Date Created": lambda p: f"{p.at:%m/%d/%Y %I:%M:%S %p}",
            "Date Modified": lambda p: f"{p.later(1):%m/%d/%Y %I:%M:%S %p}",
            "IP Address": lambda p: p.pick("203.0.113.7", "198.51.100.2"),
            "Email Address": lambda p: p.email,
            "First Name": "",
            "Last Name": "",
            "Custom Data 1": "",
            "How satisfied are you?": lambda p: p.pick("Very", "Not at all"),
            "Which do you drink? - Tea": lambda p: p.pick("", "Tea"),
            "Which do you drink? - Rum, neat": lambda p: p.pick("", "Rum, neat"),
            "Which do you drink? - Other (please specify)": lambda p: p.pick("", "", "N/A"),
        }
    )
    first = [*grid.names[:9], "How satisfied are you?", "Which do you drink?", "", ""]
    second = [""] * 9 + ["Response", "Tea", "Rum, neat", "Other (please specify)"]
    named = Grid([*grid.names[:9], "How satisfied are you?", *grid.names[10:]], grid.rows)
    return Export(
        source="SurveyMonkey", file="survey.csv", content=written(Grid(first, [second, *grid.rows])), grid=named,
        call="track",
        asked={"event": cio.lit("Survey Answered"), "user_id": "Email Address", "timestamp": "Date Modified"},
        expected={
            "file.header-rows": ("",),
            "time.month-first": ("Date Modified",),
            "trait.date-written": ("Date Created",),
            "value.placeholder": ("Which do you drink? - Other (please specify)",),
        },
        rejected=240, person=("Email Address", "Respondent ID"), time=("Date Modified", "Date Created"),
    )  # fmt: skip


def typeform() -> Export:
    """Questions as names, a column for each choice, several times in UTC."""
    grid = generated(
        {
            "#": lambda p: p.hex(32),
            "What is your first name?": lambda p: p.first,
            "What is your *email address*?": lambda p: p.email,
            "Tea": lambda p: p.pick("", "Tea"),
            "Coffee": lambda p: p.pick("", "Coffee"),
            "Other": lambda p: p.pick("", "", "Water. And you?"),
            "How likely are you to recommend us?": lambda p: p.dice.randrange(11),
            "May we contact you?": lambda p: p.pick("1", "0"),
            "Response Type": "completed",
            "Start Date (UTC)": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "Stage Date (UTC)": "",
            "Submit Date (UTC)": lambda p: f"{p.later(1):%Y-%m-%d %H:%M:%S}",
            "Network ID": lambda p: p.hex(10),
            "Tags": "",
        }
    )
    return Export(
        source="Typeform", file="responses.csv", content=written(grid), grid=grid,
        call="track",
        asked={
            "event": cio.lit("Survey Answered"), "user_id": "What is your *email address*?",
            "timestamp": "Submit Date (UTC)",
        },
        expected={"time.naive-text": ("Submit Date (UTC)",), "trait.time-space": ("Start Date (UTC)",)},
        person=("What is your *email address*?",), time=("Submit Date (UTC)", "Start Date (UTC)"),
    )  # fmt: skip


def wide_panel() -> Export:
    """A panel of 320 columns, nearly all of them empty."""
    asked = {f"Q{place}": (lambda p: p.pick("", "1", "2", "3")) for place in range(12)}
    grid = generated(
        {
            "unique_id": lambda p: f"p{p.place}",
            **asked,
            **{f"Q{place}": "" for place in range(12, 320)},
        },
        rows=60,
    )
    return Export(
        source="Panel", file="panel.csv", content=written(grid), grid=grid,
        asked={"user_id": "unique_id"}, expected={"name.too-many": ("",)}, person=("unique_id",),
    )  # fmt: skip


EXPORTS = (qualtrics, surveymonkey, typeform, wide_panel)
