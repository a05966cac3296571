"""Column names of exports as products write them, with what a person would say they are.

The names are those of the products; the values are invented, by the kind after the `=`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

ROWS = 12


def _people(row: int) -> int:
    """Return the number of a person, of whom some have several rows."""
    return row % 7


VALUES: dict[str, Callable[[int], object]] = {
    "mail": lambda row: f"ada{row}@example.com",
    "mails": lambda row: f"ada{_people(row)}@example.com",
    "staff": lambda row: f"agent{row % 2}@shop.example",
    "dirty": lambda row: ("n/a", "none")[row] if row < 2 else f"ada{row}@example.com",
    "id": lambda row: 4_000_100 + row * 37,
    "ids": lambda row: 4_000_100 + _people(row) * 37,
    "key": lambda row: f"k_{row:x}9f{row * 7:x}",
    "keys": lambda row: f"u_{_people(row):x}7c",
    "row": lambda row: row + 1,
    "iso": lambda row: f"2024-03-{row + 1:02}T10:{row:02}:00Z",
    "sql": lambda row: f"2024-03-{row + 1:02} 10:{row:02}:00",
    "day": lambda row: f"2024-03-{row + 1:02}",
    "us": lambda row: f"3/{row + 1}/2024 8:{row + 10}",
    "de": lambda row: f"{row + 13}.03.2024",
    "epoch": lambda row: 1_710_000_000 + row * 977,
    "ms": lambda row: 1_710_000_000_000 + row * 977_000,
    "micro": lambda row: 1_710_000_000_000_000 + row * 977_000_000,
    "num": lambda row: 12.5 + row,
    "bool": lambda row: row % 2 == 0,
    "name": lambda row: f"Ada Lovelace{row}",
    "event": lambda row: ("Order Completed", "Signed Up")[row % 2],
    "word": lambda row: ("blue", "green", "red")[row % 3],
    "url": lambda row: f"https://shop.example/p/{row}",
    "phone": lambda row: f"+4915112345{row:02}",
    "empty": lambda _: None,
}


@dataclass(frozen=True, kw_only=True)
class Export:
    """An export: its call, its columns, and the right answer.

    Attributes:
        columns: Names apart by ` | `, each with its kind of values.
        person: The columns that may name the person, apart by ` | `; empty if none may.
        time: The same for the time.
        event: The same for the name of the event, or of the page, screen, group or form.
        never: Columns that must be proposed for nothing.
    """

    call: str
    columns: str
    person: str = ""
    time: str = ""
    event: str = ""
    never: str = ""

    def frame(self) -> pl.DataFrame:
        """Return a table with these columns."""
        cells = dict(_parted(self.columns))
        data = {name: [VALUES[kind](row) for row in range(ROWS)] for name, kind in cells.items()}
        return pl.DataFrame(data, strict=False)


def _parted(columns: str) -> Iterator[tuple[str, str]]:
    for column in columns.split(" | "):
        name, mark, kind = column.rpartition("=")
        yield (name, kind) if mark else (column, "word")


SEEN: dict[str, Export] = {
    "Shopify customers": Export(
        call="identify", person="Customer ID | Email", never="Accepts Email Marketing",
        columns="Customer ID=id | First Name | Last Name | Email=mail | Accepts Email Marketing=bool | Default Address Company | Phone=phone | Total Spent=num | Total Orders=row | Note | Tax Exempt=bool",
    ),
    "Shopify orders": Export(
        call="track", person="Email", time="Created at | Paid at", never="Id | Payment ID | Vendor",
        columns="Name=key | Email=mails | Financial Status | Paid at=sql | Fulfilled at=sql | Currency | Subtotal=num | Total=num | Created at=sql | Lineitem name | Lineitem sku=key | Billing Name=name | Id=id | Payment ID=key | Vendor | Cancelled at=empty",
    ),
    "Stripe customers": Export(
        call="identify", person="id | Email", never="Default Source",
        columns="id=key | Description | Email=mail | Name=name | Created (UTC)=sql | Delinquent=bool | Card ID=key | Card Last4 | Default Source=key | Plan | Status",
    ),
    "Stripe payments": Export(
        call="track", person="Customer ID | Customer Email", time="Created date (UTC)", never="id | Card ID | Seller Message",
        columns="id=key | Created date (UTC)=sql | Amount=num | Amount Refunded=num | Currency | Captured=bool | Card ID=key | Customer ID=keys | Customer Description | Customer Email=mails | Fee=num | Seller Message | Status | Invoice ID=key",
    ),
    "Mailchimp audience": Export(
        call="identify", person="Email Address", never="EMAIL_TYPE | LEID | OPTIN_TIME | LAST_CHANGED",
        columns="Email Address=mail | First Name | Last Name | Address | Phone Number=phone | MEMBER_RATING=row | OPTIN_TIME=sql | OPTIN_IP | CONFIRM_TIME=sql | LATITUDE=num | GMTOFF=num | TIMEZONE | CC | LAST_CHANGED=sql | LEID=id | EUID=key | TAGS",
    ),
    "Mailchimp campaign activity": Export(
        call="track", person="Email", time="Timestamp", event="Action", never="Campaign ID",
        columns="Email=mails | Campaign ID=key | Action=event | Timestamp=sql | URL=url | IP",
    ),
    "HubSpot contacts": Export(
        call="identify", person="Record ID | Email", never="Contact owner | Associated Company IDs | Primary Associated Company ID",
        columns="Record ID=id | First Name | Last Name | Email=mail | Phone Number=phone | Contact owner=name | Primary Associated Company ID=id | Last Activity Date=sql | Lead Status | Marketing contact status | Create Date=sql | Associated Company | Associated Company IDs=id",
    ),
    "HubSpot deals": Export(
        call="track", person="Associated Contact IDs", time="Create Date | Close Date", never="Record ID | Deal owner | Associated Company IDs",
        columns="Record ID=id | Deal Name | Deal Stage | Close Date=sql | Deal owner=name | Amount=num | Pipeline | Create Date=sql | Associated Contact | Associated Contact IDs=ids | Associated Company | Associated Company IDs=ids",
    ),
    "Salesforce contacts": Export(
        call="identify", person="Contact ID | Email", never="Contact Owner | Account ID | Owner Email | Reports To: Email",
        columns="Account Name | Account ID=key | Contact ID=key | First Name | Last Name | Email=mail | Phone=phone | Contact Owner=name | Owner Email=staff | Created Date=day | Lead Source | Last Modified By=name",
    ),
    "Salesforce objects": Export(
        call="identify", person="Id | Email", never="OwnerId | AccountId | CreatedById | LastModifiedById",
        columns="Id=key | IsDeleted=bool | AccountId=key | LastName | FirstName | Email=mail | OwnerId=keys | CreatedDate=iso | CreatedById=keys | LastModifiedDate=iso | LastModifiedById=keys | SystemModstamp=iso",
    ),
    "Mixpanel events": Export(
        call="track", person="distinct_id | $user_id | $device_id", time="time", event="event", never="$insert_id | mp_processing_time_ms",
        columns="event=event | time=epoch | distinct_id=keys | $browser | $city | $device_id=keys | $insert_id=key | $user_id=keys | mp_country_code | mp_processing_time_ms=ms | $current_url=url",
    ),
    "Mixpanel people": Export(
        call="identify", person="$distinct_id | $email", never="$last_seen",
        columns="$distinct_id=key | $email=mail | $name=name | $last_seen=iso | $city | $country_code | plan",
    ),
    "Amplitude events": Export(
        call="track", person="user_id | device_id", time="event_time | client_event_time", event="event_type", never="$insert_id | uuid | event_id | session_id | app | amplitude_id | processed_time",
        columns="$insert_id=key | amplitude_id=ids | app=row | city | client_event_time=sql | client_upload_time=sql | device_family | device_id=keys | device_type | event_id=row | event_time=sql | event_type=event | processed_time=sql | server_received_time=sql | session_id=ms | user_id=keys | uuid=key",
    ),
    "Klaviyo profiles": Export(
        call="identify", person="Email | Klaviyo ID | External ID", never="Email Marketing Consent Timestamp",
        columns="Email=mail | Klaviyo ID=key | First Name | Last Name | Organization | Title | Phone Number=phone | Email Marketing Consent | Email Marketing Consent Timestamp=iso | Initial Source | Last Open=iso | Profile Created On=iso | External ID=empty",
    ),
    "Klaviyo events": Export(
        call="track", person="profile_id | profile_email", time="datetime | timestamp", event="metric_name | event_name", never="metric_id | uuid",
        columns="id=key | metric_id=word | metric_name=event | profile_id=keys | profile_email=mails | timestamp=epoch | datetime=iso | uuid=key | value=num",
    ),
    "Snowplow atomic": Export(
        call="track", person="user_id | domain_userid", time="derived_tstamp | collector_tstamp | dvce_created_tstamp", event="event_name", never="event_id | txn_id | network_userid | etl_tstamp",
        columns="app_id | platform | etl_tstamp=sql | collector_tstamp=sql | dvce_created_tstamp=sql | event | event_id=key | txn_id=id | name_tracker | user_id=keys | user_ipaddress | domain_userid=keys | domain_sessionidx=row | network_userid=keys | geo_country | page_url=url | derived_tstamp=sql | event_name=event | true_tstamp=empty",
    ),
    "Segment tracks": Export(
        call="track", person="user_id | anonymous_id", time="timestamp | original_timestamp", event="event_text | event", never="id | received_at | sent_at | uuid_ts",
        columns="id=key | received_at=sql | uuid_ts=sql | anonymous_id=keys | user_id=keys | event=word | event_text=event | original_timestamp=sql | sent_at=sql | timestamp=sql | context_page_url=url | context_library_name",
    ),
    "Segment users": Export(
        call="identify", person="id", never="received_at | uuid_ts",
        columns="id=key | received_at=sql | uuid_ts=sql | email=mail | first_name | plan | created_at=sql | context_library_name",
    ),
    "Qualtrics responses": Export(
        call="track", person="RecipientEmail | ExternalReference", time="RecordedDate | StartDate | EndDate", never="ResponseId | IPAddress | DistributionChannel",
        columns="StartDate=sql | EndDate=sql | Status | IPAddress | Progress=row | Duration (in seconds)=row | Finished=bool | RecordedDate=sql | ResponseId=key | RecipientLastName | RecipientFirstName | RecipientEmail=mail | ExternalReference=empty | LocationLatitude=num | DistributionChannel | UserLanguage | Q1",
    ),
    "Typeform responses": Export(
        call="track", person="What's your email address?", time="Submit Date (UTC) | Start Date (UTC)", never="# | Network ID",
        columns="#=key | What's your name?=name | What's your email address?=mail | How did you hear about us? | Response Type | Start Date (UTC)=sql | Stage Date (UTC)=empty | Submit Date (UTC)=sql | Network ID=key | Tags",
    ),
    "SurveyMonkey": Export(
        call="track", person="Respondent ID | Email Address", time="Start Date | End Date | Date Created", never="Collector ID | IP Address",
        columns="Respondent ID=id | Collector ID=row | Start Date=us | End Date=us | IP Address | Email Address=mail | First Name | Last Name | Custom Data 1 | How likely are you to recommend us?=row",
    ),
    "SurveyMonkey, no addresses": Export(
        call="identify", person="RespondentID", never="CollectorID | IP Address",
        columns="RespondentID=id | CollectorID=word | StartDate=us | EndDate=us | IP Address | Email Address=empty | FirstName | Q1",
    ),
    "WooCommerce orders": Export(
        call="track", person="Customer User ID | Email (Billing) | Customer Email", time="Order Date", never="Order Number | Item # | Product Id | Customer Note",
        columns="Order Number=id | Order Status | Order Date=sql | Customer Note | First Name (Billing) | Last Name (Billing) | Email (Billing)=mails | Phone (Billing)=phone | Payment Method Title | Order Total Amount=num | Item #=row | Item Name | Product Id=id | Customer User ID=ids",
    ),
    "Zendesk tickets": Export(
        call="track", person="Requester id | Requester email", time="Created at", never="Id | Assignee | Assignee id | Assignee email | Submitter | Group | Organization",
        columns="Summation column=row | Id=id | Requester=name | Requester id=ids | Requester external id=empty | Requester email=mails | Submitter=name | Assignee=name | Assignee id=ids | Assignee email=staff | Group | Subject | Tags | Status | Created at=sql | Updated at=sql | Due date=empty | Organization",
    ),
    "Intercom users": Export(
        call="identify", person="User ID | Email", never="Owner | Company ID | Intercom ID | Last seen (UTC)",
        columns="Intercom ID=key | Name=name | Owner=name | Email=mail | Phone=phone | User ID=key | First seen (UTC)=sql | Signed up (UTC)=sql | Last seen (UTC)=sql | Web sessions=row | City | Company ID=key | Last contacted (UTC)=sql",
    ),
    "Intercom conversations": Export(
        call="track", person="User ID | User email", time="Conversation started at", never="Conversation ID | Teammate ID | Teammate email | Conversation Admin ID",
        columns="Conversation ID=id | Conversation started at=sql | Conversation state | Channel | User ID=keys | User email=mails | Teammate ID=keys | Teammate email=staff | Conversation tags | Last closed at=empty",
    ),
    "GA4 in BigQuery": Export(
        call="track", person="user_id | user_pseudo_id", time="event_timestamp", event="event_name", never="event_bundle_sequence_id | stream_id | user_first_touch_timestamp",
        columns="event_date=word | event_timestamp=micro | event_name=event | event_previous_timestamp=empty | event_bundle_sequence_id=id | user_id=empty | user_pseudo_id=keys | user_first_touch_timestamp=micro | platform | stream_id=word | is_active_user=bool",
    ),
    "PostHog events": Export(
        call="track", person="distinct_id | person_id", time="timestamp", event="event", never="uuid | created_at | team_id",
        columns="uuid=key | event=event | properties | timestamp=sql | team_id=word | distinct_id=keys | person_id=keys | created_at=sql | elements_chain",
    ),
    "Braze users": Export(
        call="identify", person="external_id | email", never="braze_id | random_bucket",
        columns="external_id=key | braze_id=key | random_bucket=row | first_name | last_name | email=mail | phone=phone | country | created_at=iso | push_subscribe | email_subscribe",
    ),
    "Iterable users": Export(
        call="identify", person="userId | email", never="signupSource | profileUpdatedAt | itblInternal.emailDomain",
        columns="email=mail | userId=key | firstName | lastName | signupDate=sql | signupSource | profileUpdatedAt=sql | phoneNumber=phone | itblInternal.emailDomain | emailListIds",
    ),
    "Pipedrive people": Export(
        call="identify", person="Person - ID | Person - Email - Work", never="Person - Owner | Organization - ID | Person - Email - Home",
        columns="Person - ID=id | Person - Name=name | Person - Owner=name | Person - Email - Work=mail | Person - Phone - Work=phone | Organization - ID=id | Organization - Name | Person - Person created=sql | Person - Open deals=row",
    ),
    "Eventbrite attendees": Export(
        call="track", person="Attendee # | Email | Attendee Email", time="Order Date", never="Order # | Ticket Type | Event ID",
        columns="Order #=id | Order Date=sql | First Name | Last Name | Email=mail | Quantity=row | Ticket Type | Total Paid=num | Currency | Order Type | Attendee #=id | Attendee Status | Event Name=event | Event ID=word",
        event="Event Name",
    ),
    "Magento customers": Export(
        call="identify", person="ID | Email", never="Group | Customer Since | Web Site",
        columns="ID=id | Name=name | Email=mail | Group | Phone=phone | ZIP | Country | State/Province | Customer Since=sql | Web Site | Confirmed email | Account Created in | Date of Birth=empty | Gender",
    ),
    "Square transactions": Export(
        call="track", person="Customer ID", time="Date", never="Transaction ID | Payment ID | Staff ID | Staff Name | Device Name",
        columns="Date=day | Time | Time Zone | Gross Sales=num | Net Sales=num | Tax=num | Transaction ID=key | Payment ID=key | Card Brand | Device Name | Staff Name=name | Staff ID=keys | Location | Customer ID=keys | Customer Name=name | Customer Reference ID=empty",
    ),
    "Calendly": Export(
        call="track", person="Invitee Email", time="Event Created Date & Time | Start Date & Time", event="Event Type Name", never="User Email | User Name",
        columns="User Name=name | User Email=staff | Invitee Name=name | Invitee Email=mail | Invitee Time Zone | Event Type Name=event | Start Date & Time=sql | End Date & Time=sql | Event Created Date & Time=sql | Canceled=bool | Guest Email(s)=empty | Location",
    ),
    "German shop, customers": Export(
        call="identify", person="Kundennummer | E-Mail", never="Bearbeiter | Geburtsdatum",
        columns="Kundennummer=id | Anrede | Vorname | Nachname | E-Mail=dirty | Telefon=phone | Geburtsdatum=de | PLZ | Ort | Bearbeiter=name | Newsletter=bool | Angelegt am=de",
    ),
    "German shop, orders": Export(
        call="track", person="Kunden-Nr. | E-Mail-Adresse", time="Bestelldatum", never="Bestellnummer | Rechnungsnr. | Lieferdatum",
        columns="Bestellnummer=id | Bestelldatum=de | Kunden-Nr.=ids | E-Mail-Adresse=mails | Artikel | Menge=row | Preis=num | Rechnungsnr.=id | Zahlungsart",
    ),
    "French customers": Export(
        call="identify", person="Numéro client | Adresse e-mail", never="Date de naissance | Conseiller",
        columns="Numéro client=id | Nom | Prénom | Adresse e-mail=mail | Téléphone=phone | Ville | Date de naissance=de | Conseiller=name | Créé le=de",
    ),
    "A sheet by hand": Export(
        call="identify", person="E-Mail", never="Sales rep",
        columns="Name=name | E-Mail=dirty | Phone=phone | Company | Sales rep=name | Notes | Last contact=us",
    ),
    "Customers of an old ERP": Export(
        call="identify", person="Customer No", never="Salesperson Code | E-Mail Salesperson",
        columns="Customer No=id | Name=name | City | Salesperson Code=keys | E-Mail Salesperson=staff | Credit Limit=num | Blocked=bool | Last Date Modified=day",
    ),
}  # fmt: skip

UNSEEN: dict[str, Export] = {
    "Recurly accounts": Export(
        call="identify", person="account_code | email | user_id", never="cc_emails | company_name",
        columns="account_code=key | email=mail | cc_emails=empty | username | first_name | last_name | company_name | account_created_at=sql | closed_at=empty | vat_number",
    ),
    "Chargebee subscriptions": Export(
        call="track", person="customers.id | customers.email", time="subscriptions.created_at", never="subscriptions.id | subscriptions.plan_id",
        columns="subscriptions.id=key | subscriptions.plan_id=word | subscriptions.status | subscriptions.created_at=sql | subscriptions.next_billing_at=sql | customers.id=keys | customers.email=mails | customers.first_name",
    ),
    "Chargebee customers": Export(
        call="identify", person="Customer Id | Customer Email", never="Billing Address Email",
        columns="Customer Id=key | Customer First Name | Customer Email=mail | Customer Phone=phone | Customer Company | Auto Collection | Created At=sql | Billing Address Email=mail | Billing Address City",
    ),
    "PayPal activity": Export(
        call="track", person="From Email Address", time="Date", never="Transaction ID | To Email Address | Reference Txn ID",
        columns="Date=us | Time | TimeZone | Name=name | Type | Status | Currency | Gross=num | From Email Address=mails | To Email Address=staff | Transaction ID=key | Item Title | Reference Txn ID=empty",
    ),
    "SendGrid activity": Export(
        call="track", person="email", time="processed | timestamp", event="event", never="message_id | recv_message_id | sg_event_id",
        columns="processed=sql | message_id=key | event=event | api_key_id=word | recv_message_id=key | credential_id=word | subject | from=staff | email=mails | asm_group_id=word | template_id=word",
    ),
    "ActiveCampaign contacts": Export(
        call="identify", person="ID | Email | Contact ID", never="Account Name | Contact Owner | IP Address",
        columns="ID=id | Email=mail | First Name | Last Name | Phone=phone | Account Name | Date Created=sql | IP Address | Contact Owner=name | Tags",
    ),
    "Freshdesk tickets": Export(
        call="track", person="Email | Contact ID", time="Created time", never="Ticket ID | Agent | Agent email | Group",
        columns="Ticket ID=id | Subject | Status | Priority | Agent=name | Agent email=staff | Group | Created time=sql | Due by Time=sql | Resolved time=empty | Full name=name | Email=mails | Contact ID=ids | Company Name",
    ),
    "Zoho CRM leads": Export(
        call="identify", person="Lead Id | Email", never="Lead Owner Id | Lead Owner | Created By Id | Secondary Email",
        columns="Lead Id=key | Lead Owner Id=keys | Lead Owner=name | Company | First Name | Last Name | Email=mail | Secondary Email=empty | Created By Id=keys | Created By=name | Created Time=sql | Modified Time=sql",
    ),
    "BigCommerce orders": Export(
        call="track", person="Customer ID | Customer Email", time="Order Date", never="Order ID | Transaction ID | Staff Notes",
        columns="Order ID=id | Customer ID=ids | Customer Name=name | Customer Email=mails | Order Date=day | Order Status | Subtotal (inc tax)=num | Payment Method | Transaction ID=key | Staff Notes | Ship Date=empty",
    ),
    "Heap events": Export(
        call="track", person="user_id | identity", time="time", event="event_table_name | event", never="event_id | session_id",
        columns="event_id=id | user_id=ids | session_id=id | time=sql | event_table_name=event | platform | landing_page=url | session_time=sql",
    ),
    "RudderStack pages": Export(
        call="page", person="user_id | anonymous_id", time="timestamp | original_timestamp", event="name | title", never="id | received_at | sent_at",
        columns="id=key | anonymous_id=keys | user_id=empty | name=event | url=url | title=word | path | referrer=url | received_at=sql | sent_at=sql | original_timestamp=sql | timestamp=sql | context_ip",
    ),
    "Adjust raw data": Export(
        call="track", person="adid | gps_adid | idfa | device_id | user_id", time="created_at | event_time", event="event_name", never="tracker | installed_at",
        columns="app_name | event_name=event | created_at=epoch | installed_at=epoch | device_id=keys | tracker=key | country | os_name",
    ),
    "Gravity Forms": Export(
        call="form", person="Email", event="Form Id", never="Entry Id | Created By (User Id) | User IP",
        columns="Entry Id=id | Form Id=word | Name (First) | Name (Last) | Email=mail | Message | Created By (User Id)=empty | Entry Date=sql | Source Url=url | User IP | User Agent",
    ),
    "HubSpot companies": Export(
        call="group", person="", event="Record ID", never="Company owner | Owner Email",
        columns="Record ID=id | Company name | Company owner=name | Owner Email=staff | Create Date=sql | Phone Number=phone | City | Industry",
    ),
    "Jira issues": Export(
        call="track", person="Reporter Email | Reporter Id | Reporter", time="Created", never="Issue id | Issue key | Assignee | Assignee Id | Creator Id",
        columns="Summary | Issue key=key | Issue id=id | Status | Assignee=name | Assignee Id=keys | Reporter=keys | Reporter Id=keys | Creator Id=keys | Created=sql | Updated=sql | Due date=empty",
    ),
    "Learning platform": Export(
        call="track", person="Student ID | Student Email", time="Enrolled At | Completed At", never="Course ID | Instructor Email | Enrollment ID",
        columns="Enrollment ID=id | Student ID=ids | Student Email=mails | Course ID=word | Course Name | Instructor Email=staff | Enrolled At=sql | Progress=row",
    ),
    "Spanish orders": Export(
        call="track", person="ID de cliente | Correo electrónico", time="Fecha de pedido", never="Número de pedido | Vendedor",
        columns="Número de pedido=id | Fecha de pedido=de | ID de cliente=ids | Correo electrónico=mails | Producto | Cantidad=row | Importe=num | Vendedor=name",
    ),
    "German club": Export(
        call="identify", person="Mitgliedsnummer | Mailadresse", never="Trainer | Geburtstag | Eintrittsdatum",
        columns="Mitgliedsnummer=id | Name | Vorname | Mailadresse=dirty | Geburtstag=de | Eintrittsdatum=de | Beitrag=num | Trainer=name",
    ),
    "Olist customers": Export(
        call="identify", person="customer_unique_id | customer_id", never="customer_zip_code_prefix",
        columns="customer_id=key | customer_unique_id=keys | customer_zip_code_prefix=row | customer_city | customer_state",
    ),
    "Products, no person": Export(
        call="track", never="product_id | supplier_id | name | supplier_email | updated_at",
        columns="product_id=id | name | sku=key | price=num | supplier_id=keys | supplier_email=staff | stock=row | updated_at=sql",
    ),
}  # fmt: skip

LATER: dict[str, Export] = {
    "Stripe invoices": Export(
        call="track", person="Customer | Customer Email", time="Date (UTC) | Finalized At (UTC)", never="id | Number | Charge | Subscription | Due Date (UTC)",
        columns="id=key | Amount Due=num | Charge=key | Closed=bool | Currency | Customer=keys | Date (UTC)=sql | Due Date (UTC)=empty | Number=key | Paid=bool | Subscription=key | Total=num | Finalized At (UTC)=sql | Customer Name=name | Customer Email=mails",
    ),
    "Shopify abandoned checkouts": Export(
        call="track", person="customer_id | email", time="created_at | abandoned_at", never="id | token | cart_token | user_id | location_id",
        columns="id=id | token=key | cart_token=key | email=mails | created_at=iso | updated_at=iso | abandoned_at=iso | customer_id=ids | user_id=empty | location_id=empty | total_price=num | abandoned_checkout_url=url",
    ),
    "HubSpot form submissions": Export(
        call="form", person="Email", event="Form ID | Form name", never="Contact owner | Conversion Page",
        columns="Conversion Date=sql | Form name=event | Form ID=word | Conversion Page=url | Email=mails | First Name | Last Name | Contact owner=name",
    ),
    "Salesforce campaign members": Export(
        call="track", person="ContactId | LeadId | Email | LeadOrContactId", time="FirstRespondedDate | CreatedDate", never="Id | CampaignId | CreatedById",
        columns="Id=key | CampaignId=word | LeadId=empty | ContactId=keys | Status | HasResponded=bool | CreatedDate=iso | CreatedById=keys | FirstRespondedDate=empty | Email=mails | LeadOrContactId=keys",
    ),
    "GA4 sheet of users": Export(
        call="track", person="Effective user ID | User ID", time="Date + hour (YYYYMMDDHH) | Date", event="Event name", never="Event count | Stream ID | Transaction ID",
        columns="Event name=event | Date=day | Effective user ID=keys | Transaction ID=key | Stream ID=word | Event count=row | Total revenue=num",
    ),
    "Mixpanel in a warehouse": Export(
        call="track", person="mp_user_id | mp_distinct_id | distinct_id | mp_device_id", time="mp_event_time | time", event="mp_event_name | event_name", never="mp_insert_id | mp_mp_api_timestamp_ms",
        columns="mp_event_name=event | mp_distinct_id=keys | mp_user_id=keys | mp_device_id=keys | mp_insert_id=key | time=sql | mp_mp_api_timestamp_ms=ms | mp_country_code",
    ),
    "Braze Currents": Export(
        call="track", person="external_user_id | user_id | EXTERNAL_USER_ID", time="time | TIME", event="event_name | name", never="id | device_id | app_id | app_group_id | campaign_id",
        columns="id=key | user_id=keys | external_user_id=keys | device_id=keys | app_group_id=word | app_id=word | time=epoch | timezone | name=event | platform | campaign_id=empty | properties",
    ),
    "Mailchimp opens": Export(
        call="track", person="Email Address | Email", time="Timestamp", event="Action", never="Campaign Title | Unique Id | List ID",
        columns="Email Address=mails | Campaign Title | List ID=word | Action=event | Timestamp=sql | Unique Id=key | URL=url",
    ),
    "Intercom events": Export(
        call="track", person="user_id | email | intercom_user_id", time="created_at", event="event_name", never="id | admin_id | admin_email",
        columns="id=key | event_name=event | created_at=epoch | user_id=keys | email=mails | intercom_user_id=keys | admin_id=word | admin_email=staff | metadata",
    ),
    "Zendesk satisfaction": Export(
        call="track", person="Requester ID | Requester email", time="Rated at | Ticket solved at", never="Rating ID | Ticket ID | Assignee ID | Assignee email | Group ID",
        columns="Rating ID=id | Ticket ID=id | Ticket group | Group ID=word | Assignee ID=ids | Assignee email=staff | Requester ID=ids | Requester email=mails | Rated at=sql | Score | Comment",
    ),
    "WooCommerce subscriptions": Export(
        call="track", person="customer_id | billing_email | customer_user", time="start_date | date_created", never="subscription_id | order_key | next_payment_date | end_date",
        columns="subscription_id=id | subscription_status | customer_id=ids | start_date=sql | next_payment_date=sql | end_date=empty | billing_period | order_key=key | order_total=num | billing_first_name | billing_email=mails | billing_phone=phone",
    ),
    "Magento orders": Export(
        call="track", person="customer_id | customer_email", time="created_at", never="entity_id | increment_id | quote_id | store_id | shipping_address_id | updated_at",
        columns="entity_id=id | increment_id=key | store_id=word | quote_id=id | customer_id=ids | customer_email=mails | customer_group_id=word | shipping_address_id=id | grand_total=num | status | created_at=sql | updated_at=sql",
    ),
    "Jotform": Export(
        call="form", person="E-mail | Email", event="Form ID", never="Submission ID | Submission IP | Assigned to",
        columns="Submission Date=sql | Full Name=name | E-mail=mails | Phone Number=phone | Appointment | Submission IP | Submission ID=id | Form ID=word | Assigned to=staff | Last Update Date=empty",
    ),
    "Pipedrive deals": Export(
        call="track", person="Deal - Contact person | Person - ID | Person - Email - Work", time="Deal - Deal created | Deal - Won time", never="Deal - ID | Deal - Owner | Deal - Creator | Deal - Organization | Organization - ID",
        columns="Deal - ID=id | Deal - Title | Deal - Creator=name | Deal - Owner=name | Deal - Value=num | Deal - Organization=word | Organization - ID=ids | Person - ID=ids | Person - Email - Work=mails | Deal - Stage | Deal - Deal created=sql | Deal - Won time=empty",
    ),
    "Airtable members": Export(
        call="identify", person="Record ID | Email | Member ID", never="Created By | Last Modified By | Coach Email | Company (linked)",
        columns="Name=name | Email=mail | Member ID=key | Record ID=key | Company (linked) | Coach Email=staff | Created By=staff | Last Modified By=staff | Created=iso | Last Modified=iso",
    ),
    "Notion database": Export(
        call="identify", person="Email", never="Owner | Created by | Page ID | Created time",
        columns="Name=name | Status | Email=mail | Owner=name | Company | Created by=name | Created time=us | Page ID=key | Tags",
    ),
    "Recurly transactions": Export(
        call="track", person="account_code | customer_code | account_email", time="date | transaction_date", event="", never="transaction_id | invoice_id | subscription_id | modified_at | ip_address",
        columns="transaction_id=key | invoice_id=key | subscription_id=key | account_code=keys | account_email=mails | date=sql | modified_at=sql | type | status | amount=num | currency | ip_address",
    ),
    "Twilio messages": Export(
        call="track", time="SentDate | DateSent | DateCreated", never="To | Sid | AccountSid | From | MessagingServiceSid",
        columns="From=word | To=phone | Body | Status | SentDate=iso | ApiVersion | NumSegments=row | ErrorCode=empty | AccountSid=word | Sid=key | Direction | Price=num | MessagingServiceSid=word",
    ),
    "German newsletter": Export(
        call="identify", person="Empfänger-ID | E-Mail-Adresse", never="Listen-ID | Absender | Anmeldedatum",
        columns="Empfänger-ID=id | Anrede | Vorname | Nachname | E-Mail-Adresse=mail | Listen-ID=word | Absender=staff | Anmeldedatum=de | Öffnungen=row | Abgemeldet=bool",
    ),
    "French orders": Export(
        call="track", person="Identifiant client | E-mail client", time="Date de commande | Date de la commande", never="N° de commande | N° de facture | Vendeur | Date de livraison",
        columns="N° de commande=id | Date de commande=de | Statut | Identifiant client=ids | E-mail client=mails | N° de facture=id | Vendeur=name | Montant TTC=num | Date de livraison=de",
    ),
    "Portuguese customers": Export(
        call="identify", person="Código do cliente | E-mail", never="Vendedor | E-mail do vendedor | Data de nascimento | CPF",
        columns="Código do cliente=id | Nome=name | E-mail=mail | E-mail do vendedor=staff | Telefone=phone | CPF=key | Data de nascimento=de | Data de cadastro=de | Cidade | Vendedor=name",
    ),
    "Dutch orders": Export(
        call="track", person="Klantnummer | E-mailadres", time="Besteldatum", never="Ordernummer | Factuurnummer | Verkoper | Leverdatum",
        columns="Ordernummer=id | Besteldatum=de | Klantnummer=ids | E-mailadres=mails | Factuurnummer=id | Verkoper=name | Totaalbedrag=num | Leverdatum=de",
    ),
    "Polish orders": Export(
        call="track", person="Numer klienta | Adres e-mail", time="Data zamówienia", never="Numer zamówienia | Sprzedawca | Data dostawy",
        columns="Numer zamówienia=id | Data zamówienia=de | Numer klienta=ids | Adres e-mail=mails | Produkt | Ilość=row | Kwota=num | Sprzedawca=name | Data dostawy=de",
    ),
    "Italian customers": Export(
        call="identify", person="Codice cliente | Indirizzo e-mail", never="Agente | E-mail agente | Data di nascita | Partita IVA | Codice fiscale",
        columns="Codice cliente=id | Nome | Cognome | Indirizzo e-mail=mail | E-mail agente=staff | Telefono=phone | Codice fiscale=key | Partita IVA=id | Data di nascita=de | Agente=name",
    ),
    "Spanish bookings": Export(
        call="track", person="ID del huésped | Correo del huésped", time="Fecha de reserva", never="ID de reserva | Localizador | Empleado | Correo del empleado | Fecha de entrada",
        columns="ID de reserva=id | Localizador=key | Fecha de reserva=de | Fecha de entrada=de | ID del huésped=ids | Correo del huésped=mails | Empleado=name | Correo del empleado=staff | Importe=num",
    ),
}  # fmt: skip

LAST: dict[str, Export] = {
    "PrestaShop orders, Italian": Export(
        call="track", person="ID cliente | Email cliente", time="Data ordine | Data", never="ID ordine | Riferimento | Corriere | Data consegna",
        columns="ID ordine=id | Riferimento=key | ID cliente=ids | Email cliente=mails | Totale=num | Pagamento | Stato | Corriere | Data ordine=de | Data consegna=de",
    ),
    "Course registrations, Dutch": Export(
        call="track", person="Deelnemer e-mail | Deelnemersnummer", time="Inschrijfdatum", never="Cursuscode | Docent | Docent e-mail | Factuurnummer",
        columns="Cursuscode=word | Cursus | Inschrijfdatum=de | Deelnemersnummer=ids | Deelnemer=name | Deelnemer e-mail=mails | Docent=name | Docent e-mail=staff | Factuurnummer=id",
    ),
    "Newsletter, Polish": Export(
        call="identify", person="Identyfikator subskrybenta | Adres email", never="Data zapisu | Opiekun | Email opiekuna | Telefon",
        columns="Identyfikator subskrybenta=id | Adres email=mail | Imię | Nazwisko | Data zapisu=de | Opiekun=name | Email opiekuna=staff | Telefon=phone",
    ),
    "Marketplace orders, Portuguese": Export(
        call="track", person="ID do comprador | E-mail do comprador", time="Data da compra", never="Número do pedido | ID do vendedor | E-mail do vendedor | Código do produto | Data de entrega",
        columns="Número do pedido=id | Data da compra=de | ID do comprador=ids | E-mail do comprador=mails | ID do vendedor=keys | E-mail do vendedor=staff | Código do produto=key | Valor=num | Data de entrega=de",
    ),
    "Clinic appointments, French": Export(
        call="track", person="Identifiant patient | E-mail du patient", time="Date du rendez-vous", never="N° de rendez-vous | Praticien | E-mail du praticien",
        columns="N° de rendez-vous=id | Date du rendez-vous=de | Identifiant patient=ids | E-mail du patient=mails | Praticien=name | E-mail du praticien=staff | Statut",
    ),
    "Fitness members, Spanish": Export(
        call="identify", person="Número de socio | Correo", never="Entrenador | Correo del entrenador | Fecha de alta | DNI",
        columns="Número de socio=id | Nombre | Apellidos | Correo=mail | Teléfono=phone | DNI=key | Fecha de alta=de | Entrenador=name | Correo del entrenador=staff",
    ),
    "Donations, German": Export(
        call="track", person="Spendernummer | E-Mail Spender | Spender-ID", time="Spendendatum", never="Spendenquittung Nr. | Kampagne | IBAN | Sachbearbeiter",
        columns="Spendendatum=de | Betrag=num | Spendernummer=ids | E-Mail Spender=mails | Spendenquittung Nr.=id | Kampagne | Sachbearbeiter=name",
    ),
    "Klaviyo in a warehouse": Export(
        call="track", person="PERSON_ID | PERSON_EMAIL", time="EVENT_DATETIME | DATETIME", event="METRIC_NAME | EVENT_NAME", never="EVENT_ID | METRIC_ID | FLOW_ID | CAMPAIGN_ID | _FIVETRAN_SYNCED",
        columns="EVENT_ID=key | EVENT_NAME=event | METRIC_ID=word | PERSON_ID=keys | PERSON_EMAIL=mails | FLOW_ID=empty | CAMPAIGN_ID=empty | DATETIME=sql | _FIVETRAN_SYNCED=sql",
    ),
    "Chargebee invoices": Export(
        call="track", person="Customer Id | Customer Email", time="Invoice Date | Paid On", never="Invoice Number | Subscription Id | PO Number | Due Date",
        columns="Invoice Number=key | Subscription Id=key | Customer Id=keys | Customer Email=mails | PO Number=empty | Invoice Date=sql | Due Date=sql | Paid On=empty | Amount=num | Status",
    ),
    "Twilio SendGrid contacts": Export(
        call="identify", person="EMAIL | CONTACT_ID", never="ALTERNATE_EMAILS | CREATED_AT | UPDATED_AT | PHONE_NUMBER_ID",
        columns="EMAIL=mail | FIRST_NAME | LAST_NAME | ALTERNATE_EMAILS=empty | CITY | PHONE_NUMBER_ID=empty | CONTACT_ID=key | CREATED_AT=iso | UPDATED_AT=iso",
    ),
}  # fmt: skip
