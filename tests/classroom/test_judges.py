"""What single judges rest on, by another way."""

import torch

from lipteach.classroom.lessons.l11_wasserstein.critic import AUDITED, X, Y, distance
from lipteach.classroom.lessons.l11_wasserstein.exercises import PLAN, POINTS
from lipteach.primitives import exact_wasserstein
from lipteach.training import three_cones


def test_the_plan_that_others_are_compared_with_is_the_best():
    centres = three_cones().centres
    cost = (PLAN * torch.cdist(centres, POINTS)).sum()
    torch.testing.assert_close(cost, exact_wasserstein(centres, POINTS))


def test_a_single_point_has_one_plan_to_others():
    for x, y in [(X, Y), *(given[1:] for given in AUDITED)]:
        torch.testing.assert_close(distance(x, y), exact_wasserstein(x, y))
