"""``python -m lipteach.experiments list``, ``show``, ``run`` or ``compare``."""

import os
import sys

from lipteach.experiments.machine.command_line import main
from lipteach.primitives._printing import write_plainly

if __name__ == "__main__":
    write_plainly()
    try:
        status = main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # who read this has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
