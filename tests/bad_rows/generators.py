"""Bad input to generators, critics, sets of images, and scores."""

from functools import partial

import torch
from support import generator
from torch import nn

from bad_rows.common import integer_rows, number_rows, tensor_rows
from lipteach import training


def rows():
    """(callable, arguments, error, part of its message)."""
    make, critic, g = training.make_generator, training.make_critic_network, generator()
    yield from integer_rows(lambda n: make(n, 14, 4, g), "channels")
    yield from integer_rows(lambda n: make(1, n, 4, g), "side", 4)
    yield from integer_rows(lambda n: make(1, 14, n, g), "width")
    yield make, [1, 14, 4, g, True], ValueError, "side must be at least 16; got 14"
    yield make, [1, 14, 4, 0], TypeError, "generator must be a torch.Generator; got int"
    yield critic, [1, 3, 4, nn.ReLU, g], ValueError, "side must be at least 4; got 3"
    yield critic, [1, 14, 4, nn.ReLU(), g], TypeError, "activation must make a module, such as"
    yield critic, [1, 14, 4, nn.ReLU, 0], TypeError, "generator must be a torch.Generator; got int"
    yield from integer_rows(lambda n: training.draw_latent(n, g), "count")
    yield training.draw_latent, [2, 0], TypeError, "generator must be a torch.Generator; got int"

    flat, x = nn.Linear(2, 1), torch.ones(3, 2)
    clip, between, measure = (
        *(training.clip_weights_, training.points_between, training.measure_critic),
    )
    yield clip, [None], TypeError, "network must be an nn.Module; got NoneType"
    yield from number_rows(lambda bound: clip(flat, bound), "bound", "greater than 0.0")
    yield from tensor_rows(partial(training.gradient_penalty, flat), "x")
    yield from tensor_rows(lambda z: between(z, z, g), "x")
    yield between, [x, x[:2], g], ValueError, "y must hold at least as many points as x, of the"
    yield between, [x, torch.ones(3, 1), g], ValueError, "of the same shape; got (3, 1) for (3, 2)"
    yield between, [x, x, None], TypeError, "generator must be a torch.Generator; got NoneType"
    yield measure, [None, x, x], TypeError, "critic must be an nn.Module; got NoneType"
    yield from tensor_rows(lambda z: measure(flat.double(), z, x), "x")
    yield from integer_rows(lambda n: measure(flat.double(), x, x, n), "points")

    load, folder = training.load_image_set, training.load_image_folder
    yield (
        load,
        ["digits", "train", 14, "."],
        ValueError,
        "name must be one of sample, mnist, fash",
    )
    yield load, ["sample", "all", 14, "."], ValueError, 'split must be "train" or "test"; got'
    yield load, ["sample", "train", 13, "."], ValueError, "side must divide 28, that of sample; go"
    yield from integer_rows(lambda n: load("sample", "train", n, "."), "side")
    yield folder, [3, 14], TypeError, "path must be a path; got int"
    yield folder, ["no such folder", 14], FileNotFoundError, "must be a folder with pictures, .bmp"
    yield from integer_rows(lambda n: folder(".", n), "side")

    judge, score = training.train_judge, training.score_samples
    images, labels = torch.rand(4, 1, 8, 8), torch.zeros(4).long()
    yield judge, [images[0], labels, g], ValueError, "images must have at least 4 dimensions"
    yield judge, [images, labels[:3], g], ValueError, "labels must hold one integer for each of 4"
    yield judge, [images, labels.float(), g], ValueError, "labels must hold one integer for each"
    yield judge, [images, labels + 10, g], ValueError, "labels must be in 0, …, 9; got 10 to 10"
    yield judge, [images, labels, 0], TypeError, "generator must be a torch.Generator; got int"
    yield from integer_rows(lambda n: judge(images, labels, g, n), "epochs")
    yield score, [None, images, images], TypeError, "judge must be an nn.Sequential; got NoneType"
    yield from tensor_rows(lambda z: score(nn.Sequential(flat), z, x), "samples")
    distance = training.frechet_distance
    yield from tensor_rows(lambda z: distance(z, x), "x")
    yield distance, [x, x[:, :1]], ValueError, "x and y must have shapes (N, d) and (M, d), with N"
    yield distance, [x, x[:1]], ValueError, "with N and M at least 2; got (3, 2) and (1, 2)"
