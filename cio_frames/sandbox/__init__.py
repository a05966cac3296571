"""An embedded Customer.io: the same answers, on this machine, with a look inside."""

from cio_frames.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
