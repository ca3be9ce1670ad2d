"""The command line of a package that holds the tiny experiment alone; also a program."""

import sys
from dataclasses import replace

from tiny_experiment import TINY, Settings

from lipteach.experiments.machine import catalogue, command_line


def cells(_profile: str) -> tuple[Settings, ...]:
    return Settings("Adam", pause=0.004), Settings("Adam", steps=90, pause=0.004)


ADAM = replace(TINY, cells=cells)

if __name__ == "__main__":
    command_line.NAMES = catalogue.NAMES = ("tiny",)
    command_line.experiment = lambda _name: ADAM
    sys.exit(command_line.main(sys.argv[1:]))
