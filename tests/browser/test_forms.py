"""A real browser posts web forms to the embedded workspace, as from a page of somebody's site."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest

import cio_frames as cio

pytestmark = pytest.mark.browser

FORM = """<!doctype html><meta charset="utf-8">
<form action="{action}" method="post" enctype="{kind}">
<input name="email" type="email"><input name="city"><button>Send</button>
</form>"""


class Site(BaseHTTPRequestHandler):
    """A site of one page, which also takes people who have sent the form."""

    page = b""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("place", ["site", "file"])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_browser_posts_the_action_form(chromium: Any, tmp_path: Path, kind: str, place: str):
    """The person is made, and the browser is on the success page, wherever the form stood."""
    with cio.sandbox() as workspace, ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        thanks = f"{site}/thanks?a=1&b=2"
        query = {"site_id": workspace.site_id, "form_id": "signup", "success_url": thanks}
        action = f"{workspace.url}/forms/submit_action?{urlencode(query)}"
        page = FORM.format(action=action.replace("&", "&amp;"), kind=kind)
        Site.page = page.encode()
        (tmp_path / "form.html").write_text(page, encoding="utf-8")
        tab = chromium.new_page()

        tab.goto(site if place == "site" else (tmp_path / "form.html").as_uri())
        tab.locator("[name=email]").fill("ada@example.com")
        tab.locator("[name=city]").fill("Tromsø & Bodø")
        tab.locator("button").click()
        tab.wait_for_url(thanks)

        server.shutdown()
        tab.close()
        assert workspace.people.select("email", "attributes").rows() == [
            ("ada@example.com", '{"city":"Tromsø & Bodø"}')
        ]
        assert workspace.requests["status"].to_list() == [302]
