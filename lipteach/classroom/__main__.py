"""``python -m lipteach.classroom release``, ``check-release`` and the others."""

import sys

from lipteach.classroom.command_line import main
from lipteach.primitives._printing import write_plainly

if __name__ == "__main__":
    write_plainly()
    sys.exit(main())
