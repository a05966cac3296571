"""The public face of the embedded Customer.io."""

import atexit
import os
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, Literal, Self, TypeVar

import polars as pl
from starlette.types import ASGIApp

from cio_frames.clock import utc_now
from cio_frames.errors import SandboxError, errors_as
from cio_frames.identity import Model, Settings
from cio_frames.identity.known_people import normalize_export
from cio_frames.sandbox.app import Keys, WorkspaceApp
from cio_frames.sandbox.app_api import AppApi, AppRules
from cio_frames.sandbox.faults import Fault, FaultProfile, Faults, resolve_faults
from cio_frames.sandbox.handlers import Rules
from cio_frames.sandbox.outcome import Outcome
from cio_frames.sandbox.request_body import Bounds
from cio_frames.sandbox.server import HostCheck, Server
from cio_frames.sandbox.store import Keep, Store
from cio_frames.spec import Region

IN_PROCESS_HOST = "sandbox.invalid"


def _people_failed(kind: str) -> SandboxError:
    return SandboxError(
        f"The people could not be read ({kind}). Run people.collect(), or pl.DataFrame(people), to "
        "see why."
    )


ClientT = TypeVar("ClientT")

_INTERNAL = frozenset({"outcome", "people_of"})
"""Methods for the package itself; completion does not offer them."""


def _model(settings: Settings | None, forms: Mapping[str, Mapping[str, str]]) -> Model:
    """Return an empty workspace with mapped forms."""
    model = Model(settings)
    for form_id, mapping in forms.items():
        model.map_form(form_id, mapping)
    return model


class Sandbox(Generic[ClientT]):
    """A private workspace that answers on the loopback address as Customer.io does.

    Nothing leaves this machine. Without `X-Strict-Mode: 1` it answers 200 to a wrong key, to bad
    data and to too much data, and drops it, as Customer.io does; `dropped` shows what and why.

    The server is a thread of this process. After a fork the child has no server: it can send to the
    parent's `url`, but using its own copy raises a `SandboxError`.

    Args:
        settings: The settings of the workspace; those of a new one if not given.
        batch_errors: Whether strict mode rejects a whole batch for one bad message (the cautious
            reading of an undocumented point), or that message alone.
        oversize_status: The status for too many bytes in strict mode; it is not documented.
        faults: The faults: the name of a fault profile ("flaky", "storm", "outage" ...), or your
            own `Faults`. They depend on the number of the request and the seed only.
        seed: Seed of the faults.
        keep: `counts` keeps no messages, for measuring a sender; `counts` and `requests` work.
        port: The port of the loopback address; 0 takes a free one.
        region: What the region lookup answers.
        write_key: The key of the Pipelines calls; random if not given.
        site_id: The site id of forms; random if not given.
        track_api_key: The key that belongs to the site id; random if not given.
        app_api_key: The key for reading people; random if not given.
        clock: Returns the time of arrival, instead of this machine's clock.
        page: Whether there is a page at `page_url`.
        forms: Forms that exist already, with the attributes that their fields feed, as
            `{"newsletter": {"email_address": "email"}}`.
        app_rate: How many requests of the App API are answered in a second; None for all.
        export_s: How long an export of people takes; that is not documented.
        link_s: How long the link to its file can be used.
        link_needs_key: Whether that link needs the key; that is not documented.
        connect: Makes a client of this package that sends here.

    Examples:
        >>> import httpx
        >>> with Sandbox() as sandbox:
        ...     message = {"userId": "u1", "event": "Order Completed"}
        ...     answer = httpx.post(
        ...         f"{sandbox.url}/v1/track", json=message, auth=(sandbox.write_key, "")
        ...     )
        ...     sandbox.events["name"].to_list()
        ['Order Completed']
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        batch_errors: Literal["whole", "items"] = "whole",
        oversize_status: int = 400,
        faults: FaultProfile | Faults = "none",
        seed: int | None = None,
        keep: Keep = "all",
        port: int = 0,
        region: Region = "us",
        write_key: str | None = None,
        site_id: str | None = None,
        track_api_key: str | None = None,
        app_api_key: str | None = None,
        clock: Callable[[], datetime] | None = None,
        page: bool = True,
        forms: Mapping[str, Mapping[str, str]] | None = None,
        app_rate: float | None = 10.0,
        export_s: float = 0.0,
        link_s: float = 900.0,
        link_needs_key: bool = False,
        connect: Callable[["Sandbox[ClientT]"], ClientT] | None = None,
    ) -> None:
        keys = {
            "write_key": write_key,
            "site_id": site_id,
            "track_api_key": track_api_key,
            "app_api_key": app_api_key,
        }
        self._keys = Keys(**{name: value for name, value in keys.items() if value is not None})
        self._store = Store(partial(_model, settings, dict(forms or {})), keep=keep)
        self._faults = resolve_faults(faults, seed=seed)
        app_rules = AppRules(
            rate=app_rate, export_s=export_s, link_s=link_s, link_needs_key=link_needs_key
        )
        self._app_api = AppApi(self._store, app_rules, clock=clock or utc_now)
        self._app = WorkspaceApp(
            store=self._store,
            keys=self._keys,
            rules=Rules(
                batch_errors=batch_errors,
                oversize_status=oversize_status,
                empty_user=(settings or Settings()).empty_user,
            ),
            app_api=self._app_api,
            bounds=Bounds(),
            region=region,
            clock=clock or utc_now,
            fault_for=self._fault_for,
            has_page=page,
        ).app()
        self._has_page = page
        self._port = port
        self._connect = connect
        self._server: Server | None = None
        self._server_lock = threading.Lock()
        self._pid = os.getpid()

    def start(self) -> Self:
        """Serve on the loopback address. Does nothing if it does so already.

        Raises:
            SandboxError: The port is taken, or the server does not come up.
        """
        self._check_process()
        with self._server_lock:
            if self._server is None:
                self._server = Server(lambda host: HostCheck(self._app, host=host), port=self._port)
                atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stop serving and leave no thread and no socket. The workspace can still be read."""
        if os.getpid() != self._pid:
            return
        with self._server_lock:
            if self._server is not None:
                self._server.stop()
                self._server = None
                atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)) - _INTERNAL)

    def __repr__(self) -> str:
        if os.getpid() != self._pid:
            return f"<Sandbox of process {self._pid}>"
        where = f"http://{self._server.host}" if self._server else "not started"
        counts = ", ".join(f"{name}={count}" for name, count in self._store.counts().items())
        return f"<Sandbox {where}, {counts}>"

    @property
    def url(self) -> str:
        """The address of the server, without a path.

        Raises:
            SandboxError: It was not started.
        """
        if self._server is None:
            raise SandboxError(
                "This sandbox has not been started. Use `with cio.sandbox() as sandbox:` or "
                "`sandbox.start()`."
            )
        return f"http://{self._server.host}"

    @property
    def page_url(self) -> str:
        """The address of a page that shows what is in the workspace, to search and to download.

        It cannot be guessed, and works on this machine only.

        Raises:
            SandboxError: It was not started, or has no page.
        """
        if not self._has_page:
            raise SandboxError("This sandbox has no page. Create one with cio.sandbox().")
        return f"{self.url}{self._page_path}"

    @property
    def _page_path(self) -> str:
        """The path of `page_url`."""
        return f"/page/{self._keys.page_token}"

    @property
    def app(self) -> ASGIApp:
        """The same workspace as an ASGI application, for use in process, without a socket.

        Requests must name `in_process_url`.
        """
        return HostCheck(self._app, host=IN_PROCESS_HOST)

    @property
    def in_process_url(self) -> str:
        """The address for requests to `app`; it does not exist outside this process."""
        return f"http://{IN_PROCESS_HOST}"

    @property
    def write_key(self) -> str:
        """The key of the Pipelines calls."""
        return self._keys.write_key

    @property
    def site_id(self) -> str:
        """The site id of forms."""
        return self._keys.site_id

    @property
    def track_api_key(self) -> str:
        """The key that belongs to the site id."""
        return self._keys.track_api_key

    @property
    def app_api_key(self) -> str:
        """The key for reading people."""
        return self._keys.app_api_key

    @property
    def faults(self) -> Faults:
        """The faults. They can be changed at any time; by name, they keep their seed."""
        return self._faults

    @faults.setter
    def faults(self, faults: FaultProfile | Faults) -> None:
        seed = self._faults.seed if isinstance(faults, str) else None
        self._faults = resolve_faults(faults, seed=seed)

    def client(self) -> ClientT:
        """Start if needed, and return a client of this package that sends here.

        Raises:
            SandboxError: This sandbox was not made by `cio.sandbox()`.
        """
        if self._connect is None:
            raise SandboxError("This sandbox cannot create a client. Create it with cio.sandbox().")
        self.start()
        return self._connect(self)

    def reset(self) -> None:
        """Remove everything that arrived, and all people, events, objects and forms."""
        self._check_process()
        self._store.clear()
        self._app_api.clear()

    def load(self, people: Any) -> None:
        """Load an export of people, who exist before the first message.

        Args:
            people: A table with at least one of the columns id, email and cio_id; also
                anonymous_id or anonymous_ids, created_at and attributes. `people` of another sandbox
                is such a table.

        Raises:
            SandboxError: Messages have arrived already.
            MappingError: There is no identifier among the columns.

        Examples:
            >>> sandbox = Sandbox()
            >>> sandbox.load([{"id": "u1", "email": "ada@example.com"}])
            >>> sandbox.people["email"].to_list()
            ['ada@example.com']
        """
        self._check_process()
        with errors_as(_people_failed, any_error=True):
            table = people.collect() if isinstance(people, pl.LazyFrame) else pl.DataFrame(people)
            exported = normalize_export(table)
        self._store.load(exported)

    def map_form(self, form_id: str, mapping: Mapping[str, str]) -> None:
        """Let fields of a form feed other attributes, as `{"email_address": "email"}`.

        It replaces the form's mapping. In Customer.io this is done by hand on the form's page.

        Raises:
            SandboxError: The form does not exist yet; its first submission creates it.
        """
        self._check_process()
        self._store.map_form(form_id, mapping)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of requests and of messages received, accepted and dropped."""
        self._check_process()
        return self._store.counts()

    @property
    def people(self) -> pl.DataFrame:
        """The profiles, oldest first; visitors who are still anonymous are not among them."""
        return self._view("people")

    @property
    def events(self) -> pl.DataFrame:
        """The stored events in order of receipt, with the person of each."""
        return self._view("events")

    @property
    def objects(self) -> pl.DataFrame:
        """The objects that group calls created."""
        return self._view("objects")

    @property
    def relationships(self) -> pl.DataFrame:
        """Which person is related to which object."""
        return self._view("relationships")

    @property
    def forms(self) -> pl.DataFrame:
        """The forms that submissions created, with their mapping."""
        return self._view("forms")

    @property
    def merges(self) -> pl.DataFrame:
        """The people who were permanently merged."""
        return self._view("merges")

    @property
    def failures(self) -> pl.DataFrame:
        """The changes that accepted messages failed to make, and why."""
        return self._view("failures")

    @property
    def requests(self) -> pl.DataFrame:
        """Every request, by number; status 499 means that the sender disconnected."""
        self._check_process()
        return self._store.requests()

    @property
    def messages(self) -> pl.DataFrame:
        """Every message as it arrived, with copies, dropped and rejected ones."""
        self._check_process()
        return self._store.messages()

    @property
    def dropped(self) -> pl.DataFrame:
        """The messages that were not accepted, and why. A status of 200 is what the sender saw."""
        return self.messages.filter(pl.col("reason").is_not_null())

    def outcome(self) -> Outcome:
        """Return what a rehearsal compares: people, events and objects, without attributes.

        It agrees with the frames, and takes much less time and memory for many messages.
        """
        self._check_process()
        return self._store.outcome()

    def people_of(self, message_ids: Collection[str]) -> pl.DataFrame:
        """Return the people that some of the messages create, as if nothing else had arrived."""
        self._check_process()
        return self._store.people_of(message_ids)

    def _fault_for(self, number: int) -> Fault | None:
        return self._faults.fault_for(number)

    def _view(self, name: str) -> pl.DataFrame:
        self._check_process()
        return self._store.view(name)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise SandboxError(
                f"This sandbox belongs to process {self._pid}, and this is a fork of it. "
                "Create a sandbox here, or send to the url of the other one."
            )
