"""``python -m lipteach.experiments list``, ``show``, ``run`` or ``compare``."""

from lipteach.experiments.machine.command_line import main
from lipteach.primitives._printing import run_command

if __name__ == "__main__":
    run_command(main, 1)
