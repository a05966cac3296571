"""Exports of people: Mailchimp, Klaviyo, HubSpot, Salesforce, Zendesk, Intercom."""

import cio_frames as cio
from tests.corpus.export import Export, Person, generated, written


def mailchimp_audience() -> Export:
    """An audience: all cells in quotes, merge fields, tags as quoted texts in one cell."""
    grid = generated(
        {
            "Email Address": lambda p: p.email,
            "First Name": lambda p: p.first,
            "Last Name": lambda p: p.last,
            "Address": lambda p: p.pick("", "", f"{p.place} Main St  {p.city}  {p.zip}  US"),
            "Phone Number": lambda p: p.pick("", "(212) 555-0142", "212-555-0142"),
            "Birthday": lambda p: p.pick("", "03/15", "11/02"),
            "MEMBER_RATING": lambda p: p.dice.randrange(1, 6),
            "OPTIN_TIME": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "OPTIN_IP": lambda p: p.pick("", "203.0.113.7"),
            "CONFIRM_TIME": lambda p: f"{p.later(2):%Y-%m-%d %H:%M:%S}",
            "CONFIRM_IP": lambda p: p.pick("203.0.113.7", "198.51.100.24"),
            "LATITUDE": lambda p: p.pick("", f"{p.dice.random() * 60:.7f}"),
            "LONGITUDE": lambda p: p.pick("", f"-{p.dice.random() * 60:.7f}"),
            "GMTOFF": lambda p: p.pick("", "-5", "1"),
            "DSTOFF": lambda p: p.pick("", "-4", "2"),
            "TIMEZONE": lambda p: p.pick("", "America/New_York", "Europe/Oslo"),
            "CC": lambda p: p.pick("US", "NO", "GB"),
            "REGION": lambda p: p.pick("ON", "NY", ""),
            "LAST_CHANGED": lambda p: f"{p.later():%Y-%m-%d %H:%M:%S}",
            "LEID": lambda p: p.digits(9),
            "EUID": lambda p: p.hex(10),
            "NOTES": "",
            "TAGS": lambda p: p.pick("", '"VIP","May sale"', '"VIP"'),
        }
    )
    return Export(
        source="Mailchimp", file="subscribed_members_export.csv", content=written(grid, all_quoted=True), grid=grid,
        asked={"user_id": "Email Address"},
        expected={
            "name.nearly": ("Phone Number",),
            "trait.time-space": ("OPTIN_TIME", "CONFIRM_TIME", "LAST_CHANGED"),
        },
        person=("Email Address",),
    )  # fmt: skip


def mailchimp_unsubscribed() -> Export:
    """The people who have unsubscribed, which nothing but the file's name and a reason says."""
    grid = generated(
        {
            "Email Address": lambda p: p.email,
            "First Name": lambda p: p.first,
            "Last Name": lambda p: p.last,
            "MEMBER_RATING": "2",
            "UNSUB_TIME": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "UNSUB_CAMPAIGN_TITLE": lambda p: p.pick("", "May news"),
            "UNSUB_CAMPAIGN_ID": lambda p: p.pick("", p.hex(10)),
            "UNSUB_REASON": lambda p: p.pick("", "NORMAL: no longer interested", "-- other"),
        }
    )
    return Export(
        source="Mailchimp", file="unsubscribed_members_export.csv", content=written(grid, all_quoted=True), grid=grid,
        asked={"user_id": "Email Address"}, expected={"trait.time-space": ("UNSUB_TIME",)},
        person=("Email Address",),
    )  # fmt: skip


def klaviyo_list() -> Export:
    """A list with consents in capitals."""
    grid = generated(
        {
            "Email": lambda p: p.email,
            "Klaviyo ID": lambda p: f"01H{p.hex(20).upper()}",
            "First Name": lambda p: p.first,
            "Last Name": lambda p: p.last,
            "Organization": lambda p: p.pick("", "Acme"),
            "Title": "",
            "Phone Number": lambda p: p.pick("", p.us_phone),
            "Address": lambda p: p.pick("", "1 Main St"),
            "Address 2": "",
            "City": lambda p: p.city,
            "State / Region": lambda p: p.pick("ON", "NY"),
            "Country": lambda p: p.pick("NO", "US"),
            "Zip Code": lambda p: p.zip,
            "IP Address": lambda p: p.pick("", "203.0.113.9"),
            "Source": lambda p: p.pick("-8", "2", "1"),
            "Date Added": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "Email Marketing Consent": lambda p: p.pick("SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"),
            "Email Suppressions": lambda p: p.pick("[]", "[]", "['USER_SUPPRESSED']"),
            "SMS Consent": lambda p: p.pick("SUBSCRIBED", "NEVER_SUBSCRIBED"),
            "Predicted Customer Lifetime Value": lambda p: p.money(),
            "Last Open": lambda p: p.pick("", f"{p.later():%Y-%m-%d %H:%M:%S}"),
        }
    )  # fmt: skip
    return Export(
        source="Klaviyo", file="list_members.csv", content=written(grid), grid=grid,
        asked={"user_id": "Email"},
        expected={
            "name.nearly": ("Phone Number",),
            "trait.consent": ("Email Marketing Consent",),
            "text.json": ("Email Suppressions",),
            "trait.time-space": ("Date Added", "Last Open"),
        },
        person=("Email", "Klaviyo ID"),
    )  # fmt: skip


def hubspot_contacts() -> Export:
    """Contacts: all cells in quotes, times without seconds, people of the company beside the contact."""
    grid = generated(
        {
            "Record ID": lambda p: p.place + 51_001,
            "First Name": lambda p: p.first,
            "Last Name": lambda p: p.last,
            "Email": lambda p: p.email,
            "Phone Number": lambda p: p.pick("", "+44 20 7946 0123", "020 7946 0456"),
            "Contact owner": lambda p: p.pick("Kim Staff", "Ola Staff", ""),
            "Lead Status": lambda p: p.pick("", "NEW", "OPEN"),
            "Marketing contact status": lambda p: p.pick(
                "Marketing contact", "Non-marketing contact"
            ),
            "Create Date": lambda p: f"{p.at:%Y-%m-%d %H:%M}",
            "Last Activity Date": lambda p: p.pick("", f"{p.later():%Y-%m-%d %H:%M}"),
            "Associated Company": lambda p: p.pick("", "Acme", "May & Sons"),
            "Associated Company IDs": lambda p: p.pick("", p.digits(10)),
            "Number of Associated Deals": lambda p: p.pick("", "1", "2"),
            "Unsubscribed from all email": lambda p: p.pick("", "Yes", "No"),
        }
    )
    return Export(
        source="HubSpot", file="hubspot-contacts.csv", content=written(grid, all_quoted=True), grid=grid,
        asked={"user_id": "Record ID"},
        expected={
            "name.nearly": ("Email", "Phone Number"),
            "trait.consent": ("Unsubscribed from all email",),
            "column.truth-as-text": ("Unsubscribed from all email",),
            "trait.time-space": ("Create Date", "Last Activity Date"),
        },
        person=("Record ID", "Email"),
    )  # fmt: skip


def hubspot_deals() -> Export:
    """Deals, each with its contact and its owner."""
    grid = generated(
        {
            "Record ID": lambda p: p.place + 91_001,
            "Deal Name": lambda p: f"{p.pick('Acme', 'May & Sons')} - New Deal",
            "Deal Stage": lambda p: p.pick("Closed won", "Appointment scheduled"),
            "Close Date": lambda p: f"{p.later():%Y-%m-%d %H:%M}",
            "Create Date": lambda p: f"{p.at:%Y-%m-%d %H:%M}",
            "Deal owner": lambda p: p.pick(
                "Kim Staff (kim@example.org)", "Ola Staff (ola@example.org)"
            ),
            "Amount": lambda p: p.pick("", p.money()),
            "Associated Contact IDs": lambda p: str(51_001 + p.place),
            "Associated Contact": lambda p: f"{p.name} ({p.email})",
            "Pipeline": "Sales Pipeline",
        }
    )
    return Export(
        source="HubSpot", file="hubspot-deals.csv", content=written(grid, all_quoted=True), grid=grid,
        call="track",
        asked={"event": cio.lit("Deal Created"), "user_id": "Associated Contact IDs", "timestamp": "Create Date"},
        expected={"time.naive-text": ("Create Date",), "trait.time-space": ("Close Date",)},
        person=("Associated Contact IDs",), time=("Create Date", "Close Date"),
    )  # fmt: skip


def salesforce_id(p: Person, kind: str) -> str:
    """Return an identifier of Salesforce: 18 letters and digits, of a kind."""
    return f"{kind}5g00000{p.hex(5).upper()}AAG"


def salesforce_contacts() -> Export:
    """Contacts of the data loader: all cells in quotes, ids of 18 letters, most cells empty."""
    grid = generated(
        {
            "Id": lambda p: f"0035g00000{p.place:05}AAG",
            "IsDeleted": "false",
            "AccountId": lambda p: salesforce_id(p, "001"),
            "LastName": lambda p: p.last,
            "FirstName": lambda p: p.first,
            "Salutation": lambda p: p.pick("Ms.", "Mr.", ""),
            "Name": lambda p: p.name,
            "MailingStreet": lambda p: p.pick("", "1 Main St\nFloor 3"),
            "MailingCity": lambda p: p.city,
            "MailingState": lambda p: p.pick("ON", "NY"),
            "MailingPostalCode": lambda p: p.zip,
            "MailingCountry": lambda p: p.pick("NO", "USA"),
            "Phone": lambda p: p.pick("", "(212) 555-0142", p.us_phone),
            "Fax": "",
            "MobilePhone": lambda p: p.pick("", p.us_phone),
            "Email": lambda p: p.email,
            "Title": lambda p: p.pick("", "CFO", "VP, Sales"),
            "Birthdate": lambda p: p.pick("", "1980-02-11"),
            "OwnerId": "0055g000001abcdAAA",
            "HasOptedOutOfEmail": lambda p: p.pick("false", "false", "true"),
            "DoNotCall": lambda p: p.pick("false", "true"),
            "CreatedDate": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%S}.000Z",
            "CreatedById": "0055g000001abcdAAA",
            "SystemModstamp": lambda p: f"{p.later():%Y-%m-%dT%H:%M:%S}.000Z",
            "EmailBouncedReason": "",
        }
    )
    return Export(
        source="Salesforce", file="Contact.csv", content=written(grid, all_quoted=True, end="\r\n"), grid=grid,
        asked={"user_id": "Id"},
        expected={
            "name.nearly": ("Email", "Phone", "CreatedDate"),
            "trait.consent": ("HasOptedOutOfEmail",),
            "trait.date-only": ("Birthdate",),
        },
        person=("Id", "Email"),
    )  # fmt: skip


def salesforce_report() -> Export:
    """A report: in the encoding of Windows, and lines about its making below the table."""
    grid = generated(
        {
            "Salutation": lambda p: p.pick("Ms.", "Mr.", ""),
            "First Name": lambda p: p.pick("José", "Zoë", "May", "Nat"),
            "Last Name": lambda p: p.pick("Gómez", "Lee", "O'Brien"),
            "Contact ID": lambda p: f"0035g00000{p.place:05}",
            "Email": lambda p: p.email,
            "Account Name": lambda p: p.pick("Acme", "Café Ümit"),
            "Amount": lambda p: p.money(),
        }
    )
    footer = '\r\n\r\n"Contacts & Accounts"\r\n"Copyright (c) 2000-2024 salesforce.com, inc. All rights reserved."\r\n"Confidential Information - Do Not Distribute"\r\n"Generated By:  Kim Staff  5/1/2024 9:12 AM"\r\n"Acme"\r\n'
    return Export(
        source="Salesforce", file="report1714550000.csv",
        content=written(grid, all_quoted=True, end="\r\n", after=footer, encoding="cp1252"), grid=grid,
        options={"encoding": "cp1252"}, asked={"user_id": "Contact ID"},
        expected={"file.footer": ("",), "name.nearly": ("Email",)},
        person=("Contact ID", "Email"),
    )  # fmt: skip


def zendesk_users() -> Export:
    """Users with JSON-like tags, as the export by API writes them."""
    grid = generated(
        {
            "id": lambda p: f"361{p.place:09}",
            "name": lambda p: p.name,
            "email": lambda p: p.email,
            "phone": lambda p: p.pick("", p.us_phone),
            "external_id": lambda p: p.pick("", f"u{p.place}"),
            "role": lambda p: p.pick("end-user", "agent"),
            "organization_id": lambda p: p.pick("", "114095000001"),
            "locale": lambda p: p.pick("en-US", "no"),
            "time_zone": lambda p: p.pick("Eastern Time (US & Canada)", "Oslo"),
            "tags": lambda p: p.pick("[]", '["vip","may"]'),
            "suspended": lambda p: p.pick("false", "true"),
            "created_at": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%SZ}",
            "last_login_at": lambda p: p.pick("", f"{p.later():%Y-%m-%dT%H:%M:%SZ}"),
        }
    )
    return Export(
        source="Zendesk", file="zendesk_users.csv", content=written(grid), grid=grid,
        asked={"user_id": "id"}, expected={"text.json": ("tags",)}, person=("id", "external_id", "email"),
    )  # fmt: skip


def zendesk_tickets() -> Export:
    """Tickets: requester before submitter and assignee."""
    grid = generated(
        {
            "Summation column": "1",
            "Id": lambda p: p.place + 100,
            "Requester": lambda p: p.name,
            "Requester id": lambda p: f"361{p.place:09}",
            "Requester external id": "",
            "Requester email": lambda p: p.email,
            "Submitter": lambda p: p.pick("Kim Staff", "Ola Staff"),
            "Assignee": lambda p: p.pick("Kim Staff", "-"),
            "Group": lambda p: p.pick("Support", "Sales"),
            "Subject": lambda p: p.pick("Re: order", "=?UTF-8?Q?Caf=C3=A9?=", "Tea & cups"),
            "Tags": lambda p: p.pick("", "vip web", "web"),
            "Status": lambda p: p.pick("Closed", "Open"),
            "Priority": lambda p: p.pick("-", "High", "Low"),
            "Via": lambda p: p.pick("Mail", "Web form"),
            "Created at": lambda p: f"{p.at:%Y-%m-%d %H:%M}",
            "Updated at": lambda p: f"{p.later():%Y-%m-%d %H:%M}",
            "Due Date": "",
            "Satisfaction Score": lambda p: p.pick("Not Offered", "Good"),
        }
    )
    return Export(
        source="Zendesk", file="tickets.csv", content=written(grid), grid=grid,
        call="track",
        asked={"event": cio.lit("Ticket Created"), "user_id": "Requester id", "timestamp": "Created at"},
        expected={
            "time.naive-text": ("Created at",),
            "trait.time-space": ("Updated at",),
            "value.placeholder": ("Assignee", "Priority"),
            "text.formula": ("Subject",),
        },
        person=("Requester id", "Requester email", "Requester external id"), time=("Created at",),
    )  # fmt: skip


def intercom_users() -> Export:
    """Users, with times in the time zone of the workspace."""
    grid = generated(
        {
            "Name": lambda p: p.name,
            "Owner": lambda p: p.pick("", "Kim Staff"),
            "Email": lambda p: p.email,
            "Phone": lambda p: p.pick("", p.us_phone),
            "User ID": lambda p: f"u-{p.place}",
            "First Seen (Europe/London)": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "Signed up (Europe/London)": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "Last seen (Europe/London)": lambda p: f"{p.later():%Y-%m-%d %H:%M:%S}",
            "Web sessions": lambda p: p.dice.randrange(1, 90),
            "City": lambda p: p.city,
            "Country": lambda p: p.pick("Norway", "Canada"),
            "Unsubscribed from Emails": lambda p: p.pick("false", "true", "false"),
            "Marked email as spam": "false",
            "Browser Language": lambda p: p.pick("en", "no"),
        }
    )
    return Export(
        source="Intercom", file="intercom-users.csv", content=written(grid), grid=grid,
        asked={"user_id": "User ID"},
        expected={
            "name.nearly": ("Email", "Phone"),
            "trait.consent": ("Unsubscribed from Emails",),
            "trait.time-space": (
                "First Seen (Europe/London)", "Signed up (Europe/London)", "Last seen (Europe/London)",
            ),
        },
        person=("User ID",),
    )  # fmt: skip


EXPORTS = (
    mailchimp_audience, mailchimp_unsubscribed, klaviyo_list, hubspot_contacts, hubspot_deals,
    salesforce_contacts, salesforce_report, zendesk_users, zendesk_tickets, intercom_users,
)  # fmt: skip
