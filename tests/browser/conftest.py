"""A real JupyterLab and a real Chromium, on loopback, with homes of their own."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CIO_CHROMIUM", "/usr/bin/chromium")
SHOTS = Path(os.environ.get("CIO_SHOTS", ROOT / "build" / "screenshots"))
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
START_S = 60
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/extensionmanager-extension/plugin": {"enabled": False},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A running JupyterLab.

    Attributes:
        url: Where it listens.
        token: What opens it.
        root: The folder it shows.
    """

    url: str
    token: str
    root: Path

    def api(self, path: str, *, method: str = "GET") -> Any:
        """Ask the server."""
        address = f"{self.url}{path}?token={self.token}"
        with urllib.request.urlopen(  # noqa: S310 - our own server
            urllib.request.Request(address, method=method)  # noqa: S310
        ) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def forget_kernels(self) -> None:
        """Shut every kernel down: a notebook opened again knows no widget."""
        for session in self.api("/api/sessions"):
            self.api(f"/api/sessions/{session['id']}", method="DELETE")

    def notebook(self, name: str, *cells: str) -> str:
        """Write a notebook with these cells."""
        import nbformat

        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, self.root / name)
        return name

    def let_fail(self, name: str, *, cell: int) -> None:
        """Let the later cells of a notebook run although this one raises."""
        import nbformat

        notebook = self.saved(name)
        notebook.cells[cell].metadata["tags"] = ["raises-exception"]
        nbformat.write(notebook, self.root / name)

    def saved(self, name: str) -> Any:
        """Read a notebook as it lies on the disk."""
        import nbformat

        return nbformat.read(self.root / name, 4)


def _environment(home: Path) -> dict[str, str]:
    """Return an environment whose folders are all below `home`."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run",
        "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    for folder in folders.values():
        (home / folder).mkdir()
    for plugin, values in SETTINGS.items():
        path = home / "settings" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    own = {name: str(home / folder) for name, folder in folders.items()}
    return {**os.environ, **own, "HOME": str(home), "JUPYTER_NO_CONFIG": "1"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait until a server answers, or fail with what it wrote."""
    end = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(address, timeout=1).close()  # noqa: S310
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"The server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def equipment() -> None:
    """What every test here needs; where a part is not there they skip, before anything starts."""
    for module in ("jupyterlab", "nbclient", "nbformat", "playwright.sync_api"):
        pytest.importorskip(module)
    if not Path(CHROMIUM).exists():
        pytest.skip(f"There is no {CHROMIUM}; CIO_CHROMIUM names another browser.")


@pytest.fixture(scope="session")
def lab(equipment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab that shows copies of the notebooks and the sample data."""
    home = tmp_path_factory.mktemp("lab")
    root = home / "root"
    ignore = shutil.ignore_patterns("audit*", ".ipynb_checkpoints", "__pycache__")
    for folder in ("notebooks", "sample_data"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    port, token, log = free_port(), secrets.token_hex(16), home / "lab.log"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=", "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=_environment(home), stdout=out, stderr=out)  # noqa: S603
    try:
        wait_until_up(process, f"{url}/api?token={token}", log)
        lab = Lab(url=url, token=token, root=root)
        yield lab
        lab.forget_kernels()
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="module")
def chromium(equipment: None) -> Iterator[Any]:
    """A browser without a window.

    It ends with its module: as long as it is there, its event loop counts as running in this
    thread, and `asyncio.run` refuses in every test after it.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass(slots=True, kw_only=True)
class Tab:
    """A page of the browser, with the moves that the tests make.

    Attributes:
        page: The page itself.
        lab: The server it looks at.
        outside: Addresses that the page asked for beyond this machine.
    """

    page: Any
    lab: Lab
    outside: list[str]

    def open(self, name: str) -> None:
        """Open a notebook and wait until its kernel is connected."""
        self.page.goto(f"{self.lab.url}/lab/tree/{name}?token={self.lab.token}&reset")
        self.page.locator(".jp-NotebookPanel:visible .jp-CodeCell .cm-content").first.wait_for()
        bar = self.page.locator("#jp-main-statusbar")
        bar.get_by_text(re.compile(r"\| Idle$")).wait_for()

    def command(self, name: str, **arguments: Any) -> None:
        """Execute a command of JupyterLab and wait for it."""
        script = "([name, args]) => window.jupyterapp.commands.execute(name, args)"
        self.page.evaluate(script, [name, arguments])

    def run_all(self) -> None:
        """Start all cells; do not wait for their end."""
        command = "notebook:run-all-cells"
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", command)

    def dark(self) -> None:
        """Turn the lights out."""
        self.command("apputils:change-theme", theme="JupyterLab Dark")
        self.page.locator('body[data-jp-theme-light="false"]').wait_for(state="attached")

    def until_done(self, cells: int) -> None:
        """Wait until the last of so many code cells has run."""
        prompts = self.page.locator(".jp-NotebookPanel:visible .jp-CodeCell .jp-InputPrompt")
        prompts.get_by_text(re.compile(rf"\[{cells}\]:")).wait_for(timeout=60_000)

    def outputs(self) -> Any:
        """Return the outputs of all cells."""
        return self.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")

    def every_output(self, count: int) -> list[Any]:
        """Wait until there are so many outputs, and return them."""
        from playwright.sync_api import expect

        expect(self.outputs()).to_have_count(count, timeout=30_000)
        return list(self.outputs().all())

    def shoot(self, name: str, *, what: Any = None) -> None:
        """Keep a picture of an element, or of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        (what or self.page).screenshot(path=SHOTS / f"{name}.png")


@pytest.fixture
def tab(chromium: Any, lab: Lab) -> Iterator[Tab]:
    """A fresh page that counts what it asks for beyond this machine."""
    context = chromium.new_context(viewport={"width": 1300, "height": 950})
    page = context.new_page()
    page.set_default_timeout(30_000)
    tab = Tab(page=page, lab=lab, outside=[])
    near = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(near) else tab.outside.append(r.url))
    yield tab
    context.close()
    lab.forget_kernels()
