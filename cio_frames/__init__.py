"""Plan, check, preview, rehearse, send and audit tables on their way into Customer.io.

Importing this registers `.cio` on pandas and polars frames.
"""

import cio_frames.sandbox  # noqa: F401 - before its name becomes that of the function, for good
from cio_frames.accessors import Frame, frame, lit
from cio_frames.checks import Checks, rule
from cio_frames.frames import scan
from cio_frames.identity import Settings as Workspace
from cio_frames.plan import Backfill, Plan, backfill, resume, suggest
from cio_frames.registration import register
from cio_frames.run import Audit, Run
from cio_frames.run import read as audit
from cio_frames.sending import Client, connect
from cio_frames.workspaces import sandbox

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "Backfill",
    "Checks",
    "Client",
    "Frame",
    "Plan",
    "Run",
    "Workspace",
    "audit",
    "backfill",
    "connect",
    "frame",
    "lit",
    "resume",
    "rule",
    "sandbox",
    "scan",
    "suggest",
]

register()
