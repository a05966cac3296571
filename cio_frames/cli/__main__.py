"""`python -m cio_frames.cli` does what `cio-frames` does."""

import sys

from cio_frames.cli import main

sys.exit(main())
