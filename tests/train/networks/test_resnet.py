"""The residual network over frames and mel bands."""

import keras
import msgspec
import numpy as np
import pytest

from kwsd.models.bundle import read_bundle
from kwsd.models.find import find_model
from kwsd_train.networks import build_network
from kwsd_train.recipe import Resnet
from kwsd_train.training.takeover import take_over_weights

NO_EXAMPLES = np.zeros((0, 124, 129), np.float32)


def test_each_stage_halves_frames_and_bands() -> None:
    network = build_network(Resnet([8, 12, 16], 0.1), 10, NO_EXAMPLES)
    shapes = [layer.output.shape[1:] for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert shapes == [(31, 10, 12)] * 2 + [(16, 5, 16)] * 2


def test_the_shipped_network_has_the_channels_that_are_documented_and_half_a_megabyte_at_most() -> None:
    shipped = read_bundle(find_model("default"))
    network = msgspec.convert(shipped.training["recipe"]["network"], Resnet)
    assert network.channels == [24, 48, 88]
    assert build_network(network, 10, NO_EXAMPLES).count_params() == pytest.approx(390_000, rel=0.02)
    assert shipped.files["model.tflite"].size <= 500_000


def test_with_more_channels_it_takes_over_what_it_computes_and_without_them_again() -> None:
    narrow, wide = (build_network(Resnet(channels, 0.1), 10, NO_EXAMPLES) for channels in ([8, 12, 16], [12, 16, 16]))
    inputs = np.random.default_rng(1).random((2, 124, 129), np.float32)
    narrow(inputs, training=True)  # so that its means and variances are no longer those of a new network
    take_over_weights(wide, narrow)
    np.testing.assert_allclose(wide(inputs), narrow(inputs), rtol=0, atol=1e-5)
    for new in wide.get_weights():
        assert new.ndim < 4 or new.any(axis=(0, 1, 2)).all()  # no channel is dead from the start
    again = build_network(Resnet([8, 12, 16], 0.1), 10, NO_EXAMPLES)
    take_over_weights(again, wide)
    np.testing.assert_array_equal(again(inputs), narrow(inputs))


def test_it_gives_a_logit_for_each_label_whatever_it_hears() -> None:
    network = build_network(Resnet([8, 12, 16], 0.1), 10, NO_EXAMPLES)
    inputs = np.zeros((2, 124, 129), np.float32)
    logits = network(inputs, training=True)
    assert logits.shape == (2, 10)
    assert np.isfinite(keras.ops.convert_to_numpy(logits)).all()
