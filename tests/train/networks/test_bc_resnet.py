"""The broadcasted residual network."""

from pathlib import Path

import keras
import numpy as np
import pytest

from kwsd_train.data.features import compute_spectrograms
from kwsd_train.networks import build_network
from kwsd_train.networks.bc_resnet import SubSpectralNorm
from kwsd_train.recipe import BcResnet, read_recipe

NO_EXAMPLES = np.zeros((0, 124, 129), np.float32)


@pytest.mark.parametrize(
    ("scale", "parameters"), [(1, 9232), (1.5, 17154), (2, 27284), (3, 54168), (6, 187812), (8, 321068)]
)
def test_it_has_as_many_parameters_as_the_authors_program(scale: float, parameters: int) -> None:
    network = build_network(BcResnet(scale), 12, NO_EXAMPLES)
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == parameters


def test_each_sub_band_is_normalised_by_itself() -> None:
    rng = np.random.default_rng(0)
    level = np.repeat([1.0, 10.0, 100.0, 1000.0, 10000.0], 4)[:, None, None]
    features = (level * (3 + rng.normal(size=(8, 20, 30, 2)))).astype(np.float32)
    bands = keras.ops.convert_to_numpy(SubSpectralNorm()(features, training=True)).reshape(8, 5, 4, 30, 2)
    np.testing.assert_allclose(bands.mean((0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(bands.std((0, 2, 3)), 1, atol=1e-3)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras, with numpy 2
def test_it_is_the_same_after_it_was_saved(tmp_path: Path) -> None:
    network = build_network(BcResnet(), 12, NO_EXAMPLES)
    inputs = compute_spectrograms(np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype(np.float32))
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again.predict(inputs, verbose=0), network.predict(inputs, verbose=0))


def test_its_recipe_is_complete() -> None:
    assert read_recipe("bc-resnet").network == BcResnet()
