"""Exports of shops and tills: Shopify, Stripe, WooCommerce, and tables of orders as databases write them."""

import cio_frames as cio
from tests.corpus.export import Export, Grid, generated, written


def shopify_customers() -> Export:
    """Customers, with apostrophes that keep digits from spreadsheets."""
    grid = generated(
        {
            "Customer ID": lambda p: f"'612345{p.place:07}",
            "First Name": lambda p: p.first,
            "Last Name": lambda p: p.last,
            "Email": lambda p: p.email,
            "Accepts Email Marketing": lambda p: p.pick("yes", "no"),
            "Default Address Company": "",
            "Default Address Address1": lambda p: f"{p.dice.randrange(1, 200)} Main St",
            "Default Address Address2": lambda p: p.pick("", "", "Apt 3"),
            "Default Address City": lambda p: p.city,
            "Default Address Province Code": lambda p: p.pick("ON", "NY", "MA"),
            "Default Address Country Code": lambda p: p.pick("US", "CA", "NO"),
            "Default Address Zip": lambda p: f"'{p.zip}",
            "Default Address Phone": lambda p: p.pick("", f"'{p.us_phone}"),
            "Phone": lambda p: p.pick("", f"'{p.us_phone}"),
            "Accepts SMS Marketing": lambda p: p.pick("yes", "no", "no"),
            "Total Spent": lambda p: p.money(),
            "Total Orders": lambda p: p.dice.randrange(9),
            "Note": lambda p: p.pick("", "", "VIP, call first"),
            "Tags": lambda p: p.pick("", "newsletter, vip"),
            "Tax Exempt": "no",
        }
    )
    return Export(
        source="Shopify", file="customers_export.csv", content=written(grid), grid=grid,
        asked={"user_id": "Customer ID"},
        expected={
            "id.guarded": ("Customer ID",),
            "value.guarded": ("Default Address Zip", "Default Address Phone", "Phone"),
            "name.nearly": ("Email", "Phone"),
            "trait.consent": ("Accepts Email Marketing",),
            "column.truth-as-text": ("Accepts Email Marketing", "Accepts SMS Marketing"),
        },
        rejected=240, person=("Customer ID",),
    )  # fmt: skip


def shopify_orders() -> Export:
    """Orders: a line for each item, and only the first line of an order has all cells."""
    made = generated(
        {
            "Name": lambda p: f"#{1001 + p.place}",
            "Email": lambda p: p.email,
            "Financial Status": lambda p: p.pick("paid", "refunded", "pending"),
            "Paid at": lambda p: f"{p.later(2):%Y-%m-%d %H:%M:%S} -0500",
            "Fulfillment Status": lambda p: p.pick("fulfilled", "unfulfilled"),
            "Fulfilled at": lambda p: p.pick("", f"{p.later():%Y-%m-%d %H:%M:%S} -0500"),
            "Accepts Marketing": lambda p: p.pick("yes", "no"),
            "Currency": "USD",
            "Subtotal": lambda p: p.money(),
            "Shipping": lambda p: p.pick("0.00", "5.90"),
            "Taxes": lambda p: p.money(),
            "Total": lambda p: p.money(),
            "Discount Code": lambda p: p.pick("", "", "SPRING10"),
            "Discount Amount": lambda p: p.pick("0.00", "10.00"),
            "Shipping Method": lambda p: p.pick("Standard", "Express"),
            "Created at": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S} -0500",
            "Lineitem quantity": lambda p: p.dice.randrange(1, 5),
            "Lineitem name": lambda p: p.pick('Pipe 5" - Small', "Tea, black", "Cup"),
            "Lineitem price": lambda p: p.money(),
            "Lineitem sku": lambda p: p.pick("84029G", "22086", "0085123"),
            "Lineitem requires shipping": "true",
            "Lineitem fulfillment status": lambda p: p.pick("fulfilled", "pending"),
            "Billing Name": lambda p: p.name,
            "Billing City": lambda p: p.city,
            "Billing Zip": lambda p: f"'{p.zip}",
            "Billing Province": lambda p: p.pick("ON", "NY", "MA"),
            "Billing Country": lambda p: p.pick("US", "CA", "NO"),
            "Billing Phone": lambda p: p.pick("", p.us_phone),
            "Notes": lambda p: p.pick("", "", "Leave at door.\nRing twice."),
            "Cancelled at": lambda p: p.pick("", "", f"{p.later():%Y-%m-%d %H:%M:%S} -0500"),
            "Payment Method": lambda p: p.pick("Shopify Payments", "PayPal"),
            "Refunded Amount": "0.00",
            "Vendor": "Teahouse",
            "Id": lambda p: f"53120{p.place:08}",
            "Tags": "",
            "Risk Level": lambda p: p.pick("Low", "Low", "Medium"),
            "Source": "web",
        }
    )
    items = [
        place for place, name in enumerate(made.names) if name.startswith(("Lineitem", "Vendor"))
    ]
    kept = {*items, 0, 1, made.names.index("Created at")}
    rows = []
    for place, row in enumerate(made.rows):
        rows.append(row)
        if place % 5 == 0:
            rows.append([cell if at in kept else "" for at, cell in enumerate(row)])
    grid = Grid(made.names, rows)
    return Export(
        source="Shopify", file="orders_export.csv", content=written(grid), grid=grid,
        call="track",
        asked={"event": cio.lit("Order Placed"), "user_id": "Email", "timestamp": "Created at"},
        expected={
            "value.guarded": ("Billing Zip",),
            "column.truth-as-text": ("Accepts Marketing",),
            "trait.time-space": ("Paid at", "Fulfilled at", "Cancelled at"),
        },
        person=("Email",), time=("Created at",),
    )  # fmt: skip


def stripe_customers() -> Export:
    """Customers: Stripe's own ids, times in UTC without seconds."""
    grid = generated(
        {
            "id": lambda p: f"cus_{p.hex(14)}",
            "Description": lambda p: p.pick("", "Team plan"),
            "Email": lambda p: p.email,
            "Name": lambda p: p.name,
            "Created (UTC)": lambda p: f"{p.at:%Y-%m-%d %H:%M}",
            "Delinquent": lambda p: p.pick("false", "false", "true"),
            "Card ID": lambda p: f"card_{p.hex(24)}",
            "Card Last4": lambda p: f"{p.dice.randrange(10_000):04}",
            "Card Brand": lambda p: p.pick("Visa", "MasterCard", "American Express"),
            "Card Exp Month": lambda p: p.dice.randrange(1, 13),
            "Card Exp Year": lambda p: p.dice.randrange(2025, 2031),
            "Plan": lambda p: p.pick("", "price_1Nabc", "price_1Nxyz"),
            "Status": lambda p: p.pick("", "active", "canceled"),
            "Total Spend": lambda p: p.money(),
            "Payment Count": lambda p: p.dice.randrange(30),
            "Refunded Volume": lambda p: p.pick("0.00", "5.00"),
            "Dispute Losses": "0.00",
            "Currency": lambda p: p.pick("usd", "eur"),
            "plan_code (metadata)": lambda p: p.pick("", "A1", "B2"),
        }
    )
    return Export(
        source="Stripe", file="customers.csv", content=written(grid), grid=grid,
        asked={"user_id": "id"},
        expected={"name.nearly": ("Email",), "trait.time-space": ("Created (UTC)",)},
        person=("id", "Email"),
    )  # fmt: skip


def stripe_charges() -> Export:
    """Payments: amounts with a decimal comma inside quotes, as accounts in Europe get them."""
    grid = generated(
        {
            "id": lambda p: f"ch_3N{p.hex(22)}",
            "Created date (UTC)": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "Amount": lambda p: p.money().replace(".", ","),
            "Amount Refunded": lambda p: p.pick("0,00", "0,00", "5,50"),
            "Currency": "eur",
            "Captured": lambda p: p.pick("true", "true", "false"),
            "Converted Amount": lambda p: p.money().replace(".", ","),
            "Decline Reason": lambda p: p.pick("", "", "insufficient_funds"),
            "Description": lambda p: f"Invoice 7{p.place:05}",
            "Fee": lambda p: p.money().replace(".", ","),
            "Refunded date (UTC)": lambda p: p.pick("", f"{p.later():%Y-%m-%d %H:%M:%S}"),
            "Statement Descriptor": "TEAHOUSE* ROME",
            "Status": lambda p: p.pick("Paid", "Failed", "Refunded"),
            "Seller Message": lambda p: p.pick("Payment complete.", "The bank declined."),
            "Customer ID": lambda p: f"cus_{p.hex(14)}",
            "Customer Description": "",
            "Customer Email": lambda p: p.email,
            "Invoice ID": lambda p: f"in_1N{p.hex(22)}",
            "Transfer": "",
        }
    )
    return Export(
        source="Stripe", file="payments.csv", content=written(grid), grid=grid,
        call="track",
        asked={"event": cio.lit("Payment"), "user_id": "Customer ID", "timestamp": "Created date (UTC)"},
        expected={
            "time.naive-text": ("Created date (UTC)",),
            "trait.time-space": ("Refunded date (UTC)",),
            "column.numbers-as-text": ("Amount", "Amount Refunded", "Converted Amount", "Fee"),
        },
        person=("Customer ID", "Customer Email"), time=("Created date (UTC)",),
    )  # fmt: skip


def woo_customers() -> Export:
    """Customers of WooCommerce Analytics."""
    grid = generated(
        {
            "Name": lambda p: p.name,
            "Username": lambda p: p.slug,
            "Last Active": lambda p: f"{p.later():%Y-%m-%d %H:%M:%S}",
            "Date Registered": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "Email": lambda p: p.email,
            "Orders": lambda p: p.dice.randrange(20),
            "Total Spend": lambda p: p.money(),
            "AOV": lambda p: p.money(),
            "Country / Region": lambda p: p.pick("NO", "DE", "US"),
            "City": lambda p: p.city,
            "Region": lambda p: p.pick("ON", "BY", ""),
            "Postal Code": lambda p: p.zip,
        }
    )
    return Export(
        source="WooCommerce", file="wc-customers.csv", content=written(grid), grid=grid,
        asked={"user_id": "Email"}, expected={"trait.time-space": ("Last Active", "Date Registered")},
        person=("Email",),
    )  # fmt: skip


def woo_orders() -> Export:
    """Orders of an export plug-in, with a mark of UTF-8 and line ends of Windows."""
    grid = generated(
        {
            "Order Number": lambda p: p.place + 8001,
            "Order Status": lambda p: p.pick("Completed", "Processing"),
            "Order Date": lambda p: f"{p.at:%Y-%m-%d %H:%M}",
            "Customer Note": lambda p: p.pick("", "", "+1 for gift wrap"),
            "First Name (Billing)": lambda p: p.first,
            "Last Name (Billing)": lambda p: p.last,
            "Postcode (Billing)": lambda p: p.zip,
            "Email (Billing)": lambda p: p.email,
            "Phone (Billing)": lambda p: p.us_phone,
            "Payment Method Title": lambda p: p.pick("Direct bank transfer", "PayPal"),
            "Cart Discount Amount": "0",
            "Order Subtotal Amount": lambda p: p.money(),
            "SKU": lambda p: p.pick("TEA-01", "00123", "CUP"),
            "Item #": "1",
            "Coupon Code": lambda p: p.pick("", "MAY"),
        }
    )
    return Export(
        source="WooCommerce", file="orders.csv", content=written(grid, encoding="utf-8-sig", end="\r\n"), grid=grid,
        call="track",
        asked={"event": cio.lit("Order Placed"), "user_id": "Email (Billing)", "timestamp": "Order Date"},
        expected={"time.naive-text": ("Order Date",)},
        person=("Email (Billing)",), time=("Order Date",),
    )  # fmt: skip


def online_retail() -> Export:
    """The well-known till of a British shop: codes of stock, dates as Americans write them."""
    grid = generated(
        {
            "InvoiceNo": lambda p: p.pick("5", "5", "C5") + f"{36000 + p.place // 3}",
            "StockCode": lambda p: p.pick("85123A", "71053", "84406B", "22752", "POST"),
            "Description": lambda p: p.pick("WHITE METAL LANTERN", "CREAM CUPID HEARTS COAT HANGER"),
            "Quantity": lambda p: p.dice.randrange(-3, 40) or 1,
            "InvoiceDate": lambda p: f"{p.at.month}/{p.at.day}/{p.at.year} {p.at.hour}:{p.at.minute:02}",
            "UnitPrice": lambda p: p.pick("2.55", "3.39", "1.85"),
            "CustomerID": lambda p: str(12_346 + p.place // 3),
            "Country": lambda p: p.pick("United Kingdom", "France", "EIRE"),
        }
    )  # fmt: skip
    return Export(
        source="Online Retail", file="online_retail.csv", content=written(grid), grid=grid,
        call="track",
        asked={"event": cio.lit("Item Bought"), "user_id": "CustomerID", "timestamp": "InvoiceDate"},
        expected={"time.month-first": ("InvoiceDate",)}, rejected=240,
        person=("CustomerID",), time=("InvoiceDate",),
    )  # fmt: skip


def pandas_round_trip() -> Export:
    """The same kind of till after a trip through pandas: an index, and ids that became decimals."""
    grid = generated(
        {
            "": lambda p: p.place,
            "InvoiceNo": lambda p: f"5{36000 + p.place // 3}",
            "InvoiceDate": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}",
            "UnitPrice": lambda p: p.pick("2.55", "3.39"),
            "CustomerID": lambda p: f"{12_346 + p.place // 3}.0",
        }
    )
    named = Grid(["column_1", *grid.names[1:]], grid.rows)
    return Export(
        source="pandas to_csv", file="retail_clean.csv", content=written(grid), grid=named,
        call="track",
        asked={"event": cio.lit("Item Bought"), "user_id": "CustomerID", "timestamp": "InvoiceDate"},
        expected={
            "file.unnamed-column": ("",),
            "id.float-text": ("CustomerID",),
            "time.naive-text": ("InvoiceDate",),
        },
        rejected=240, person=("CustomerID",), time=("InvoiceDate",),
    )  # fmt: skip


EXPORTS = (
    shopify_customers, shopify_orders, stripe_customers, stripe_charges, woo_customers, woo_orders,
    online_retail, pandas_round_trip,
)  # fmt: skip
