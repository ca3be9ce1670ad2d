"""``python -m lipteach.experiments list``, ``show``, ``run`` or ``compare``."""

import sys

from lipteach.experiments.machine.command_line import main
from lipteach.primitives._printing import write_plainly

if __name__ == "__main__":
    write_plainly()
    sys.exit(main())
