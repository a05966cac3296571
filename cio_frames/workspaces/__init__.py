"""The two kinds of workspace, a real one and an embedded one: clients that send to them and read them."""

from cio_frames.workspaces.client import Client, connect

__all__ = ["Client", "connect"]
