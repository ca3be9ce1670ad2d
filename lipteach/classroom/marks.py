"""How a lesson marks its exercises: the heading of each, and the call of its check."""

from __future__ import annotations

import re

HEADING = re.compile(r"### Exercise (\d+) (●{1,3}○{0,2}) · (\d+) min · ([a-z0-9-]+)")
CHECK = re.compile(r'^(?:\w+ = )?check\("([\w.-]+)", (.+)\)$', re.MULTILINE)
"""As in the lesson; ``report = check(…)`` is what a reader makes of it, or a course."""
