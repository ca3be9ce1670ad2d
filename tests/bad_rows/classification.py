"""Bad input to schemes, and to what classifications share."""

import torch
from support import generator
from torch import nn

from bad_rows.common import integer_rows, number_rows, tensor_rows
from lipteach import training


def rows():
    """(callable, arguments, error, part of its message)."""
    spread_scale, make_scheme = training.spread_scale, training.make_scheme
    network = nn.Sequential(nn.Linear(2, 1))
    yield spread_scale, [nn.Linear(2, 1), 2.0], TypeError, "must be an nn.Sequential; got Linear"
    yield spread_scale, [nn.Sequential(nn.ReLU()), 2.0], ValueError, "in it; it has none"
    twice = nn.Sequential(*2 * [nn.Linear(2, 2)])
    yield spread_scale, [twice, 2.0], ValueError, "network must have each layer once; one bias"
    yield from number_rows(lambda L: spread_scale(network, L), "L", "greater than 0.0")
    yield make_scheme, ["Bjorck", 1.0], ValueError, "name must be one of Standard; Dropout; Weight"
    yield make_scheme, [None, 1.0], TypeError, "name must be a string; got NoneType"
    yield from number_rows(lambda L: make_scheme("Björck", L), "value", "greater than 0.0")
    yield make_scheme, ["Dropout", 0.0], ValueError, "value must be greater than 0.0; got 0.0"
    drop = lambda q: make_scheme("Dropout", q).prepare(training_network(), generator())  # noqa: E731
    yield drop, [1.0], ValueError, "rate must be in [0.0, 0.99]; got 1.0"
    yield training.initialize_, [None, generator()], TypeError, "model must be an nn.Module; got"
    yield training.initialize_, [network, 3], TypeError, "generator must be a torch.Generator; got"
    digits = training.load_digits
    yield digits, ["cifar", "train", "."], ValueError, 'data must be "mnist" or "sample"; got'
    yield digits, ["sample", "all", "."], ValueError, '"validation" or "test"; got \'all\''
    draw, labels = training.draw_balanced, torch.arange(6) % 2
    yield draw, [labels, 3, generator()], ValueError, "count must be a multiple of the 2 labels"
    yield draw, [labels, 8, generator()], ValueError, "enough rows of each label; got 8"
    yield from integer_rows(lambda n: draw(labels, n, generator()), "count")
    yield draw, [labels.float(), 2, generator()], TypeError, "labels must be integers in one"
    yield draw, [[0, 1], 2, generator()], TypeError, "labels must be integers in one dimension"
    measure = training.measure_classifier
    part = (torch.ones(2, 2), torch.zeros(2).long())
    yield measure, [None, {"test": part}], TypeError, "network must be an nn.Module; got NoneType"
    margins = training.measure_margins
    yield margins, [network, *part, 3], ValueError, "p must be 1, 2 or math.inf; got 3"
    x, y = torch.ones(2, 2), torch.zeros(2).long()
    three = nn.Linear(2, 3).double()
    yield margins, [three, x, y[:1]], ValueError, "y must hold 2 integers, one for each x; got"
    yield margins, [three, x, y.float()], ValueError, "y must hold 2 integers"
    yield margins, [three, x, y + 3], ValueError, "got 3 outputs and labels from 3 to 3"
    yield margins, [three, x, y - 1], ValueError, "got 3 outputs and labels from -1 to -1"
    yield margins, [nn.Linear(2, 1).double(), x, y], ValueError, "got 1 outputs and labels from 0"
    yield measure, [network, {"train": part}], ValueError, 'parts must hold "test"; got train'
    gradients = training.input_gradients
    yield from tensor_rows(lambda x: gradients(three, x, y), "x")
    yield gradients, [three, x, y[:1]], ValueError, "y must have shape (2,), one integer for each"
    yield gradients, [three, x, y + 3], ValueError, "y must be in [0, 3), one of the classes"
    readable, picture = training.measure_gradients, torch.ones(1, 2, 2)
    yield readable, [picture, x], ValueError, "images must have at least 3 dimensions"
    yield readable, [picture, picture[:, :1]], ValueError, "must have the same shape (N, height, w"
    attacks = training.measure_attacks
    yield from integer_rows(lambda n: attacks(nn.Sequential(three), x, y, 0.1, n, 1.0), "steps")
    yield attacks, [nn.Sequential(three), 2 * x, y, 0.1, 8, 1.0], ValueError, "entries in [0, 1]"
    yield attacks, [nn.Sequential(three), x, y, 0.1, 8, 0.0], ValueError, "L must be greater than"
    yield from images()
    yield from losses()


def training_network():
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))


def images():
    """What the loader of CIFAR-10 and the wide residual network refuse."""
    cifar, wide = training.load_cifar10, training.wide_resnet
    yield cifar, [3], TypeError, "root must be a path; got int"
    yield cifar, [".", "all"], ValueError, '"train+validation" or "test"; got "all"'
    yield cifar, [".", 3], TypeError, 'or "test"; got int'
    yield cifar, [".", "test", 1], TypeError, "download must be True or False; got 1"
    yield from integer_rows(lambda n: wide(n, 1, nn.ReLU, generator()), "depth", 10)
    for depth in (11, 28 + 2):
        yield wide, [depth, 1, nn.ReLU, generator()], ValueError, "depth must be 6 n + 4, such as"
    yield from integer_rows(lambda n: wide(10, n, nn.ReLU, generator()), "width")
    yield from integer_rows(lambda n: wide(10, 1, nn.ReLU, generator(), n), "channels")
    yield from integer_rows(lambda n: wide(10, 1, nn.ReLU, generator(), 3, n), "classes")
    yield wide, [10, 1, nn.ReLU(), generator()], TypeError, "activation must make a module, such"
    yield wide, [10, 1, nn.ReLU, 0], TypeError, "generator must be a torch.Generator; got int"


def losses():
    """What the losses refuse."""
    f, y = torch.tensor([1.0, -1.0, 2.0]), torch.tensor([1, 0, 1])
    kr, hkr = training.kr_loss, lambda f, y: training.hkr_loss(f, y, 0.5)
    for loss in (kr, hkr):
        yield from tensor_rows(lambda f, loss=loss: loss(f, y), "outputs")
        yield loss, [torch.ones(3, 2), y], ValueError, "outputs must have shape (N,) or (N, 1); got"
        yield loss, [f, [1, 0, 1]], TypeError, "labels must be a tensor; got [1, 0, 1]"
        yield loss, [f, y + 0j], TypeError, "labels must be real numbers; got torch.complex64"
        yield loss, [f, y[:2]], ValueError, "labels must have shape (3,) or (3, 1), one for each"
        for bad, found in ((y + 1, "1, 2"), (0 * y, "0"), (y / 0, "inf, nan")):
            part = f"labels must hold 0 and 1, or -1 and 1, both; got {found}"
            yield loss, [f, bad], ValueError, part
    z, y = torch.ones(2, 3), torch.tensor([0, 2])
    many, hinge = training.hkr_multiclass_loss, training.multiclass_hinge_loss
    tau = training.tau_cross_entropy
    for loss in (lambda z, y: many(z, y, 0.5), hinge, lambda z, y: tau(z, y, 1.0)):
        yield from tensor_rows(lambda z, loss=loss: loss(z, y), "logits")
        yield loss, [torch.ones(3), y], ValueError, "logits must have at least 2 dimensions; got"
        yield loss, [torch.ones(2, 3, 1), y], ValueError, "logits must have shape (N, classes); got"
        yield loss, [z[:, :1], 0 * y], ValueError, "There must be two classes at least; got 1"
        yield loss, [z, [0, 2]], TypeError, "labels must be a tensor of integers; got [0, 2]"
        yield loss, [z, y.float()], TypeError, "labels must hold integers; got torch.float32"
        yield loss, [z, y[:1]], ValueError, "labels must have shape (2,), one integer for each row"
        yield loss, [z, y + 1], ValueError, "labels must be in [0, 3), one of the classes; it holds"
    yield many, [z, 0 * y, 0.5], ValueError, "labels must name two classes at least; got only 0"
    signs = torch.tensor([1, -1])
    for loss in (training.hkr_loss, many):
        args = [f[:2], signs] if loss is training.hkr_loss else [z, y]
        yield from number_rows(lambda a, g=loss, args=args: g(*args, a), "alpha", "in [0.0, 1.0]")
        yield loss, [*args, 1.5], ValueError, "alpha must be in [0.0, 1.0]; got 1.5"
        of_margin = lambda m, g=loss, args=args: g(*args, 0.5, m)  # noqa: E731
        yield from number_rows(of_margin, "margin", "greater than 0.0")
        yield of_margin, [0.0], ValueError, "margin must be greater than 0.0; got 0.0"
    yield from number_rows(lambda m: hinge(z, y, m), "margin", "greater than 0.0")
    yield from number_rows(lambda t: tau(z, y, t), "tau", "greater than 0.0")
    for loss in (hinge, tau):
        for bad, error in (("median", ValueError), (None, TypeError)):
            part = f'reduction must be "mean", "sum" or "none"; got {bad!r}'
            yield loss, [z, y, 1.0, bad], error, part
    yield from tensor_rows(training.orthogonality_penalty, "W")
    yield training.orthogonality_penalty, [f], ValueError, "W must have at least 2 dimensions; got"
