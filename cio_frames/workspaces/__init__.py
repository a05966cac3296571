"""The two kinds of workspace, a real one and an embedded one: clients that send to them and read them."""

from cio_frames.workspaces.client import Client, connect
from cio_frames.workspaces.embedded import sandbox

__all__ = ["Client", "connect", "sandbox"]
