"""Recipes: TOML files that contain all training settings except the path of the data folder."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kwsd.config.load import rephrase_validation_error
from kwsd.errors import ConfigError
from kwsd.models.bundle import DetectorSettings

RECIPES = Path(__file__).parent / "recipes"
"""Folder that contains the recipes in an installed package."""
SOURCE_RECIPES = Path(__file__).parents[1] / "recipes"
"""Folder that contains the recipes in the source tree."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base class of all tables of a recipe. A table is immutable, and an unknown key raises an error."""


class Tutorial(Settings, frozen=True, tag="tutorial"):
    """Settings of the network of TensorFlow's tutorial; see `kwsd_train.networks.tutorial`."""


class TcResnet(Settings, frozen=True, tag="tc-resnet"):
    """Settings of the one-dimensional residual network; see `kwsd_train.networks.tc_resnet`.

    Parameters
    ----------
    channels : int
        Number of channels of every convolution in the network.
    dropout : float
        Share of features that dropout sets to zero during training.
    mask_bands, mask_frames : int
        Maximum length of the masks of SpecAugment, in mel bands and in frames.
    """

    channels: Positive
    dropout: Fraction
    mask_bands: Count = 6
    mask_frames: Count = 16


class Resnet(Settings, frozen=True, tag="resnet"):
    """Settings of the two-dimensional residual network; see `kwsd_train.networks.resnet`.

    Parameters
    ----------
    channels : list of int
        Number of channels of the first convolution and of each stage. Each stage halves the number of frames and the
        number of mel bands.
    dropout : float
        Share of features that dropout sets to zero before the last layer, during training.
    mask_bands, mask_frames : int
        Maximum length of the masks of SpecAugment, in mel bands and in frames.
    """

    channels: Annotated[list[Positive], msgspec.Meta(min_length=2, max_length=5)]
    dropout: Fraction
    mask_bands: Count = 6
    mask_frames: Count = 16


class BcResnet(Settings, frozen=True, tag="bc-resnet"):
    """Settings of the broadcasted residual network; see `kwsd_train.networks.bc_resnet`.

    Parameters
    ----------
    scale : float
        Factor that multiplies the number of channels. The paper calls this factor tau and uses values from 1 to 8.
    mask_bands, mask_frames : int
        Maximum length of the masks of SpecAugment, in mel bands and in frames.
    """

    scale: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    mask_bands: Count = 0
    mask_frames: Count = 0


Network = Tutorial | Resnet | TcResnet | BcResnet

REGULARIZATION = {"dropout", "mask_bands", "mask_frames"}
"""Network settings that have an effect only during training."""


class Optimizer(Settings, frozen=True):
    """Settings of the optimizer.

    Without weight decay and warm-up, the optimizer is Adam with a constant learning rate. With weight decay or warm-up,
    the optimizer is AdamW. The learning rate of AdamW rises linearly during the warm-up and then falls to zero along a
    cosine.

    Parameters
    ----------
    learning_rate : float
        The highest learning rate.
    weight_decay : float
        Decoupled weight decay of the AdamW optimizer.
    warmup_epochs : int
        Number of epochs of the linear warm-up. The warm-up must be shorter than the whole training.
    averaging : float or None
        Decay per training step of a moving average of the weights. The network is validated, exported and saved with
        the averaged weights. A moving average of the weights requires `weight_decay` or `warmup_epochs`.
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
        Number of clips of each keyword. If the data folder contains fewer clips of a keyword, its clips are repeated.
    per_unknown_word : int
        Maximum number of clips of each word that is not a keyword.
    speech_crops : int
        Number of windows of continuous speech.
    half_words : int
        Number of windows that contain only the first or last part of a keyword.
    silences : int
        Number of windows that contain only noise or zeros.
    glued_words : int
        Number of windows that join the first part of one word and the last part of another. At most one of the two
        words is a keyword.
    mined : int
        Number of windows in which an earlier model detected a keyword by mistake. Mined windows come from the folder
        ``mined`` inside the data folder. See `kwsd_train.data.mine`.
    """

    per_keyword: Positive
    per_unknown_word: Count
    speech_crops: Count
    half_words: Count
    silences: Count
    glued_words: Count = 0
    mined: Count = 0


class Augmentation(Settings, frozen=True):
    """Ranges and probabilities of the augmentation steps.

    A setting whose name ends in ``_share`` is the share of examples to which an augmentation step is applied.

    Parameters
    ----------
    shift_s : float
        Maximum shift of the audio in seconds, earlier or later. Keywords stay inside the window.
    speed : float
        Maximum change of speed. The value 0.1 allows speeds from 90 to 110 % of the original speed.
    snr_db, babble_snr_db, hiss_snr_db : (float, float)
        Lowest and highest signal-to-noise ratio in dB. `snr_db` applies to recorded noise, `babble_snr_db` to other
        speech, and `hiss_snr_db` to artificial hiss.
    gain_db, far_gain_db : (float, float)
        Lowest and highest gain in dB. `gain_db` applies to every example, and `far_gain_db` is added for distant
        speakers.
    noise_change_share : float
        Share of noises whose speed and spectrum are changed. With changed noises, a few noise recordings provide many
        different noises.
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
        """Return the detector settings for the given keywords, in the form that a bundle stores."""
        thresholds = {word: self.thresholds.get(word, self.threshold) for word in keywords}
        return DetectorSettings(thresholds, self.smoothing_windows, self.hits)


class Recipe(Settings, frozen=True):
    """All settings of a recipe.

    Parameters
    ----------
    seed : int
        Seed of the random generators for the initial weights and for all other random choices.
    keywords : list of str
        Words to recognise, in any order. An empty list selects every word folder of the data folder.
    split : {"official", "random"}
        How clips are divided. "official" is the data set's split by speaker, and "random" is the tutorial's random
        split.
    patience : int or None
        Training stops after this many epochs without a lower validation loss. The value None disables early stopping.
    mixture, augmentation : tables or None
        With the tables `mixture` and `augmentation`, the network also learns `_silence_` and `_unknown_`, and every
        epoch contains newly augmented examples. With neither `mixture` nor `augmentation`, every epoch consists of the
        unchanged clips.
    attribution : list of str
        Sources and licences of the recordings. An export of the run writes this attribution into the bundle.
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
        Path of a TOML file, or name of a recipe that the package contains.

    Raises
    ------
    ConfigError
        The recipe does not exist, or one of its settings is invalid.
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
        The recipe file does not exist.
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
    """Return the names of the recipes that the package contains, sorted."""
    return sorted(path.stem for path in _recipes_folder().glob("*.toml"))


def _recipes_folder() -> Path:
    return RECIPES if RECIPES.is_dir() else SOURCE_RECIPES
