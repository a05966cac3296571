"""`sandbox`: an embedded workspace for experiments, and the contents of a workspace."""

import time

import polars as pl

from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.output import echo
from cio_frames.sandbox import Sandbox
from cio_frames.views import text
from cio_frames.views.wording import number
from cio_frames.workspaces import Client
from cio_frames.workspaces.embedded import sandbox as embedded

_WAIT_S = 0.2  # an interrupt caught by another thread is handled only between waits
_TABLES = ("people", "events", "objects", "relationships", "forms", "merges")


def sandbox(*, port: int = 8099) -> Exit:
    """Run an embedded Customer.io on this machine until you press Ctrl-C.

    It forgets everything when it ends. Its keys are new each time and work nowhere else.

    Args:
        port: Port of 127.0.0.1; 0 uses a free one.
    """
    with embedded(port=port) as workspace:
        echo(*_connection_lines(workspace))
        try:
            while True:
                time.sleep(_WAIT_S)
        except KeyboardInterrupt:
            echo(f"\nIt contained\n{contents(workspace)}")
    return Exit.OK


def contents(workspace: Sandbox[Client]) -> str:
    """Return the contents of a workspace as columns of text."""
    rows = [(name, number(getattr(workspace, name).height), "") for name in _TABLES]
    people = dict(
        zip(("with an id", "with an e-mail address"), _identified_counts(workspace), strict=True)
    )
    rows[0] = (*rows[0][:2], ", ".join(f"{number(count)} {word}" for word, count in people.items()))
    anonymous = workspace.events["person"].null_count()
    rows[1] = (*rows[1][:2], f"{number(anonymous)} of anonymous visitors")
    dropped = workspace.dropped
    reasons = dropped["reason"].value_counts(sort=True).iter_rows()
    drop_reasons = ", ".join(f"{reason} {number(count)}" for reason, count in reasons)
    rows.append(("dropped messages", number(dropped.height), drop_reasons))
    failures = workspace.failures["rule"].value_counts(sort=True).iter_rows()
    effects = ", ".join(f"{rule} {number(count)}" for rule, count in failures)
    rows.append(("ignored", number(workspace.failures.height), effects))
    return text.columns((), rows, right={1}, indent="  ")


def _identified_counts(workspace: Sandbox[Client]) -> tuple[int, ...]:
    counts = workspace.people.select(pl.col("id", "email").is_not_null().sum())
    return counts.row(0) if counts.height else (0, 0)


def _connection_lines(workspace: Sandbox[Client]) -> list[str]:
    keys = {
        "CIO_WRITE_KEY": workspace.write_key,
        "CIO_SITE_ID": workspace.site_id,
        "CIO_TRACK_API_KEY": workspace.track_api_key,
        "CIO_APP_API_KEY": workspace.app_api_key,
    }
    exports = (text.command(f"export {name}={value}") for name, value in keys.items())
    example = f"cio-frames send people.csv --call identify --user-id id --endpoint {workspace.url}"
    about = f"A private workspace answers on {workspace.url}. Nothing leaves this machine."
    return [
        text.paragraph(about),
        "\n".join((text.paragraph("Its temporary keys, for another terminal:"), *exports)),
        "\n".join(
            (
                "Then, in that terminal:",
                text.command(example),
                text.block(f'cio.connect(endpoint="{workspace.url}")'),
            )
        ),
        "\n".join((text.paragraph("Its contents, in a browser:"), text.block(workspace.page_url))),
        "Ctrl-C stops it.",
    ]
