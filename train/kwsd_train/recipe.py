"""Recipes: TOML files with all settings of a training, except the path of the data folder."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kwsd.config.load import rephrase_validation_error
from kwsd.errors import ConfigError
from kwsd.models.bundle import DetectorSettings

RECIPES = Path(__file__).parent / "recipes"
"""Folder of the recipes in an installed package."""
SOURCE_RECIPES = Path(__file__).parents[1] / "recipes"
"""Folder of the recipes in the source tree."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all tables of a recipe: immutable, and an unknown key is an error."""


class Tutorial(Settings, frozen=True, tag="tutorial"):
    """The network of TensorFlow's tutorial; see `kwsd_train.networks.tutorial`."""


class TcResnet(Settings, frozen=True, tag="tc-resnet"):
    """The one-dimensional residual network; see `kwsd_train.networks.tc_resnet`.

    Parameters
    ----------
    channels : int
        Number of channels of every convolution.
    dropout : float
        Share of features that are set to zero in training.
    mask_bands, mask_frames : int
        Maximum length of the masks of SpecAugment.
    """

    channels: Positive
    dropout: Fraction
    mask_bands: Count = 6
    mask_frames: Count = 16


class Resnet(Settings, frozen=True, tag="resnet"):
    """The two-dimensional residual network; see `kwsd_train.networks.resnet`.

    Parameters
    ----------
    channels : list of int
        Number of channels of the first convolution and of each stage. Each stage halves frames and bands.
    dropout : float
        Share of features that are set to zero in training, before the last layer.
    mask_bands, mask_frames : int
        Maximum length of the masks of SpecAugment.
    """

    channels: Annotated[list[Positive], msgspec.Meta(min_length=2, max_length=5)]
    dropout: Fraction
    mask_bands: Count = 6
    mask_frames: Count = 16


class BcResnet(Settings, frozen=True, tag="bc-resnet"):
    """The broadcasted residual network; see `kwsd_train.networks.bc_resnet`.

    Parameters
    ----------
    scale : float
        Factor of the number of channels: the paper's tau, from 1 to 8.
    mask_bands, mask_frames : int
        Maximum length of the masks of SpecAugment.
    """

    scale: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    mask_bands: Count = 0
    mask_frames: Count = 0


Network = Tutorial | Resnet | TcResnet | BcResnet

REGULARIZATION = {"dropout", "mask_bands", "mask_frames"}
"""Settings of networks that act only in training."""


class Optimizer(Settings, frozen=True):
    """Settings of the optimizer.

    Without decay and warm-up, it is Adam with a constant learning rate. Otherwise it is AdamW, with a linear warm-up
    and then a cosine decay to zero.

    Parameters
    ----------
    learning_rate : float
        The highest learning rate.
    weight_decay : float
        Decoupled weight decay of AdamW.
    warmup_epochs : int
        Number of epochs of the linear warm-up. It must be less than the recipe's number of epochs.
    averaging : float or None
        Decay per step of a moving average of the weights. The network is validated, exported and kept with the
        averaged weights. It needs `weight_decay` or `warmup_epochs`.
    """

    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 0.001
    weight_decay: float = 0.0
    warmup_epochs: Count = 0
    averaging: Fraction | None = None


class Mixture(Settings, frozen=True):
    """Number of examples of each kind in an epoch.

    Parameters
    ----------
    per_keyword : int
        Clips of each keyword. If there are fewer, they are repeated.
    per_unknown_word : int
        Maximum number of clips of each other word.
    speech_crops : int
        Windows of running speech.
    half_words : int
        Windows with the first or last part of a keyword.
    silences : int
        Windows of noise or zeros.
    glued_words : int
        Windows with the first part of one word and the last part of another. At most one of them is a keyword.
    mined : int
        Windows in which an earlier model detected a keyword by mistake, from the folder ``mined`` of the data. See
        `kwsd_train.data.mine`.
    """

    per_keyword: Positive
    per_unknown_word: Count
    speech_crops: Count
    half_words: Count
    silences: Count
    glued_words: Count = 0
    mined: Count = 0


class Augmentation(Settings, frozen=True):
    """Ranges and probabilities of the augmentation.

    Each setting with a name that ends in ``_share`` is the share of examples that the step is applied to.

    Parameters
    ----------
    shift_s : float
        Maximum shift in time in both directions, in seconds. Keywords stay inside the window.
    speed : float
        Maximum change of speed: 0.1 means from 90 to 110 %.
    snr_db, babble_snr_db, hiss_snr_db : (float, float)
        Lowest and highest ratio of the signal to noise, to other speech, and to artificial hiss, in dB.
    gain_db, far_gain_db : (float, float)
        Lowest and highest gain of every example, and additional gain of distant speakers, in dB.
    noise_change_share : float
        Share of noises that are changed in speed and filtered, so that few recordings become many noises.
    """

    shift_s: float
    speed: float
    speed_share: Fraction
    room_share: Fraction
    noise_share: Fraction
    snr_db: tuple[float, float]
    babble_share: Fraction
    babble_snr_db: tuple[float, float]
    gain_db: tuple[float, float]
    far_share: Fraction
    far_gain_db: tuple[float, float]
    hiss_share: Fraction = 0.0
    hiss_snr_db: tuple[float, float] = (0.0, 25.0)
    noise_change_share: Fraction = 0.0


class RecipeDetector(Settings, frozen=True):
    """Detector settings of the exported bundle; `thresholds` overrides `threshold` for single keywords."""

    threshold: float = 0.9
    thresholds: dict[str, float] = {}
    smoothing_windows: Positive = 3
    hits: Positive = 2

    def settings(self, keywords: list[str]) -> DetectorSettings:
        """Return the settings for these keywords, as a bundle stores them."""
        thresholds = {word: self.thresholds.get(word, self.threshold) for word in keywords}
        return DetectorSettings(thresholds, self.smoothing_windows, self.hits)


class Recipe(Settings, frozen=True):
    """A whole recipe.

    Parameters
    ----------
    seed : int
        Seed of the initial weights and of all random choices.
    keywords : list of str
        Words to recognise, in any order. An empty list means every folder of the data.
    split : {"official", "random"}
        Split by speaker as the data set defines it, or the tutorial's random split.
    patience : int or None
        Training stops after this many epochs without a lower validation loss. None means never.
    mixture, augmentation : tables or None
        With both, the network also learns `_silence_` and `_unknown_`, from newly augmented examples in every epoch.
        With neither, every epoch consists of the unchanged clips.
    attribution : list of str
        Sources and licences of the recordings. They are written into the bundle.
    """

    name: str
    network: Network
    epochs: Positive
    batch_size: Positive
    seed: int = 0
    keywords: list[str] = []
    split: Literal["official", "random"] = "official"
    patience: Positive | None = None
    optimizer: Optimizer = Optimizer()
    mixture: Mixture | None = None
    augmentation: Augmentation | None = None
    detector: RecipeDetector = RecipeDetector()
    attribution: list[str] = []

    def __post_init__(self) -> None:
        if (self.mixture is None) != (self.augmentation is None):
            raise ValueError("the tables mixture and augmentation go together: give both or neither")
        optimizer = self.optimizer
        if optimizer.averaging is not None and not optimizer.weight_decay and not optimizer.warmup_epochs:
            raise ValueError("averaging needs weight_decay or warmup_epochs: set one of them, or remove averaging")
        if optimizer.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be less than epochs, which is {self.epochs}")


def read_recipe(name: str) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name : str
        Path of a TOML file, or the name of a recipe of the package.

    Raises
    ------
    ConfigError
        The recipe does not exist, or a setting is invalid.
    """
    path = find_recipe(name)
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {rephrase_validation_error(str(error))}") from None


def find_recipe(name: str) -> Path:
    """Find the TOML file of a recipe by its path or name.

    Raises
    ------
    ConfigError
        The recipe does not exist.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"there is no recipe file {path}")
        return path
    known = recipe_names()
    if name not in known:
        names = ", ".join(known)
        raise ConfigError(f"there is no recipe {name!r}: choose {names}, or a file whose name ends in .toml")
    return _recipes_folder() / f"{name}.toml"


def recipe_names() -> list[str]:
    """Names of the recipes of the package, sorted."""
    return sorted(path.stem for path in _recipes_folder().glob("*.toml"))


def _recipes_folder() -> Path:
    return RECIPES if RECIPES.is_dir() else SOURCE_RECIPES
