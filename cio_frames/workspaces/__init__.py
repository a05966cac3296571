"""Clients that send to a workspace and read from it, and the embedded workspace."""

from cio_frames.workspaces.client import Client, connect

__all__ = ["Client", "connect"]
