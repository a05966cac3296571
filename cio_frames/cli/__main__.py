"""`python -m cio_frames.cli` is the same as `cio-frames`."""

import sys

from cio_frames.cli import main

sys.exit(main())
