"""``python -m lipteach.classroom release``, ``check-release`` and the others."""

from lipteach.classroom.command_line import main
from lipteach.primitives._printing import run_command

if __name__ == "__main__":
    run_command(main, 1)
