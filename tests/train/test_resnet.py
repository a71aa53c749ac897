"""The residual network over frames and mel bands."""

import keras
import numpy as np
import pytest

from kwsd_train.networks import build
from kwsd_train.recipe import Resnet, read_recipe

NOTHING = np.zeros((0, 124, 129), np.float32)


def test_each_stage_halves_frames_and_bands() -> None:
    network = build(Resnet([8, 12, 16], 0.1), 10, NOTHING)
    shapes = [layer.output.shape[1:] for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert shapes == [(31, 10, 12)] * 2 + [(16, 5, 16)] * 2


def test_the_network_of_the_default_recipe_fits_into_half_a_megabyte_in_int8() -> None:
    settings = read_recipe("default").network
    assert build(settings, 10, NOTHING).count_params() == pytest.approx(390_000, rel=0.02)


def test_it_gives_a_logit_for_each_label_whatever_it_hears() -> None:
    network = build(Resnet([8, 12, 16], 0.1), 10, NOTHING)
    heard = np.zeros((2, 124, 129), np.float32)
    logits = network(heard, training=True)
    assert logits.shape == (2, 10)
    assert np.isfinite(keras.ops.convert_to_numpy(logits)).all()
