"""``python -m lipteach.experiments list``, ``show``, ``run`` or ``compare``."""

import sys

from lipteach.experiments.machine.command_line import main

if __name__ == "__main__":
    sys.exit(main())
