"""Recipes: one TOML file that says everything about how a model is built, except where the data lies."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kwsd.config.load import rephrase_validation_error
from kwsd.errors import ConfigError
from kwsd.models.bundle import DetectorSettings

RECIPES = Path(__file__).parent / "recipes"
SOURCE_RECIPES = Path(__file__).parents[1] / "recipes"

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table of a recipe: immutable, and a key that is not known is an error."""


class Tutorial(Settings, frozen=True, tag="tutorial"):
    """The tutorial's two-dimensional network; see `kwsd_train.networks.tutorial`."""


class TcResnet(Settings, frozen=True, tag="tc-resnet"):
    """The one-dimensional residual network; see `kwsd_train.networks.tc_resnet`."""

    channels: Positive
    dropout: Share
    mask_bands: Count = 6
    mask_frames: Count = 16


class Resnet(Settings, frozen=True, tag="resnet"):
    """The two-dimensional residual network; see `kwsd_train.networks.resnet`.

    Parameters
    ----------
    channels : list of int
        Of the first convolution, and of each stage, which halves frames and bands.
    """

    channels: Annotated[list[Positive], msgspec.Meta(min_length=2, max_length=5)]
    dropout: Share
    mask_bands: Count = 6
    mask_frames: Count = 16


class BcResnet(Settings, frozen=True, tag="bc-resnet"):
    """The broadcasted residual network; see `kwsd_train.networks.bc_resnet`.

    Parameters
    ----------
    scale : float
        Of the channels: the paper's tau, from 1 to 8.
    """

    scale: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    mask_bands: Count = 0
    mask_frames: Count = 0


Network = Tutorial | Resnet | TcResnet | BcResnet

REGULARIZATION = {"dropout", "mask_bands", "mask_frames"}
"""Settings of networks that act in training only."""


class Optimizer(Settings, frozen=True):
    """Adam where neither decay nor warm-up is given, else AdamW with a linear warm-up and a cosine to zero.

    Parameters
    ----------
    weight_decay : float
        Decoupled decay of AdamW.
    warmup_epochs : int
        Epochs of the linear warm-up; fewer than the recipe's.
    averaging : float or None
        Decay a step of the moving average of the weights that is kept in the end.
    """

    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 0.001
    weight_decay: float = 0.0
    warmup_epochs: Count = 0
    averaging: Share | None = None


class Mixture(Settings, frozen=True):
    """What an epoch consists of, in examples.

    Parameters
    ----------
    per_keyword : int
        Clips of each keyword; keywords with fewer are repeated.
    per_unknown_word : int
        Clips of each other word at most.
    speech_crops, half_words, silences : int
        Windows of running speech, of the first or last part of a keyword, and of noise or nothing.
    glued_words : int
        Windows of the first part of one word and the last part of another, of which one at most is a keyword.
    mined : int
        Windows that an earlier model took for keywords, from the folder ``mined`` of the data; see
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
    """What happens to an example on its way, each with its probability.

    Parameters
    ----------
    shift_s : float
        Largest shift either way, seconds; keywords stay inside the window.
    speed : float
        Largest change of speed, as a share.
    snr_db, babble_snr_db, hiss_snr_db, gain_db, far_gain_db : (float, float)
        Lowest and highest ratio of signal to noise, to other speech, or to hiss of a random colour, and lowest and
        highest gain, dB.
    noise_change_share : float
        Share of the noises that are played at another speed and filtered, so that few recordings become many noises.
    """

    shift_s: float
    speed: float
    speed_share: Share
    room_share: Share
    noise_share: Share
    snr_db: tuple[float, float]
    babble_share: Share
    babble_snr_db: tuple[float, float]
    gain_db: tuple[float, float]
    far_share: Share
    far_gain_db: tuple[float, float]
    hiss_share: Share = 0.0
    hiss_snr_db: tuple[float, float] = (0.0, 25.0)
    noise_change_share: Share = 0.0


class Detector(Settings, frozen=True):
    """Detector settings that the exported bundle carries; `thresholds` overrides `threshold` for single keywords."""

    threshold: float = 0.9
    thresholds: dict[str, float] = {}
    smoothing_windows: Positive = 3
    hits: Positive = 2

    def settings(self, keywords: list[str]) -> DetectorSettings:
        """The settings for these keywords, as a bundle stores them."""
        thresholds = {word: self.thresholds.get(word, self.threshold) for word in keywords}
        return DetectorSettings(thresholds, self.smoothing_windows, self.hits)


class Recipe(Settings, frozen=True):
    """A whole recipe.

    Parameters
    ----------
    keywords : list of str
        Words to recognise, in any order; empty for every folder of the data.
    split : {"official", "random"}
        By speaker as the data set defines it, or the tutorial's random 80/10/10.
    mixture, augmentation : tables or None
        Present together: the network learns `_silence_` and `_unknown_` too, from freshly augmented examples every
        epoch. Absent: the clips as they are, the same in every epoch.
    attribution : list of str
        Whose recordings these are, and under which licence, for the bundle.
    patience : int or None
        Epochs without a lower validation loss after which training stops.
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
    detector: Detector = Detector()
    attribution: list[str] = []

    def __post_init__(self) -> None:
        if (self.mixture is None) != (self.augmentation is None):
            raise ValueError("the tables mixture and augmentation go together: give both or none")
        if self.optimizer.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be less than epochs, which is {self.epochs}")


def read_recipe(name: str) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name : str
        A TOML file, or the name of a recipe that comes with the package.

    Raises
    ------
    ConfigError
        There is no such recipe, or it does not say what it means.
    """
    path = find_recipe(name)
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {rephrase_validation_error(str(error))}") from None


def find_recipe(name: str) -> Path:
    """The TOML file of a recipe given by its path or name."""
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"there is no recipe file {path}")
        return path
    known = recipe_names()
    if name not in known:
        names = ", ".join(known)
        raise ConfigError(f"there is no recipe {name!r}; the package has {names}, and a file name ends in .toml")
    return _folder() / f"{name}.toml"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def _folder() -> Path:
    return RECIPES if RECIPES.is_dir() else SOURCE_RECIPES
