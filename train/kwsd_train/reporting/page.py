"""Renders an HTML page that needs no other file, from sections with text, tables, figures and sounds.

The template is ``report.html.j2``. It has a macro for each kind of block.
"""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, NamedTuple

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import style

from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd_train.data.recording import Int16

LIGHT, DARK = "default", "dark_background"
"""Styles of matplotlib for a light and a dark page."""
TRANSPARENT = {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "savefig.dpi": 120}


@dataclass(frozen=True)
class Player:
    """An audio player.

    Parameters
    ----------
    name : str
        Name of the sound.
    source : str
        The sound as a data URI.
    """

    kind: ClassVar[str] = "player"
    name: str
    source: str


@dataclass(frozen=True)
class ShadedCount:
    """A count in a table, on a background whose strength is `share`, in [0, 1]."""

    kind: ClassVar[str] = "shaded"
    count: int
    share: float


Cell = str | Player | ShadedCount


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    kind: ClassVar[str] = "paragraph"
    text: str


class Tile(NamedTuple):
    """One of the most important figures: its name, its value and a short note."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Tiles:
    """The most important figures side by side."""

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Table:
    """A table; on a narrow screen it scrolls sideways.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : sequence of sequences
        The first cell of each row is text and names the row.
    style : str
        Class in the style sheet: ``"matrix"``, ``"text"`` for long texts, which wrap, or an empty string.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    style: str = ""


@dataclass(frozen=True)
class Chart:
    """A figure for a light page and for a dark page, as data URIs, with a description for screen readers."""

    kind: ClassVar[str] = "chart"
    description: str
    light: str
    dark: str


class GalleryClip(NamedTuple):
    """A picture with a player below it.

    Parameters
    ----------
    description : str
        Description of the picture for screen readers.
    picture : str
        The picture as a data URI.
    player : Player
        The player. Its name is shown below it.
    """

    description: str
    picture: str
    player: Player


@dataclass(frozen=True)
class Gallery:
    """Clips side by side."""

    kind: ClassVar[str] = "gallery"
    clips: Sequence[GalleryClip]


Block = Heading | Paragraph | Tiles | Table | Chart | Gallery


class Section(NamedTuple):
    """A part of the page with a heading, which the table of contents links to."""

    title: str
    blocks: Sequence[Block]


def render_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Render the page; all text is escaped."""
    # StrictUndefined turns a misspelt name in the template into an error.
    environment = Environment(
        loader=PackageLoader("kwsd_train.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(title=title, lead=lead, sections=sections)


def confusion_table(caption: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """Make a table of a confusion matrix; each cell is shaded by its share of the row."""
    rows: list[list[Cell]] = [
        [label, *(ShadedCount(count, count / max(1, sum(row))) for count in row)]
        for label, row in zip(labels, counts, strict=True)
    ]
    return Table(caption, ["spoken", *labels], rows, "matrix")


def draw_chart(description: str, draw: Callable[[BinaryIO], None]) -> Chart:
    """Draw a figure twice, for a light and for a dark page.

    Parameters
    ----------
    draw : callable
        Writes a PNG into a file.
    """
    light, dark = (_data_uri("image/png", _draw_in_style(draw, look)) for look in (LIGHT, DARK))
    return Chart(description, light, dark)


def draw_picture(draw: Callable[[BinaryIO], None]) -> str:
    """Draw a WebP picture that suits a light and a dark page, and return it as a data URI.

    Parameters
    ----------
    draw : callable
        Writes a WebP picture into a file.
    """
    return _data_uri("image/webp", _draw_in_style(draw, LIGHT))


def make_player(name: str, samples: Float32 | Int16) -> Player:
    """Make a player of 16 kHz samples; FLAC is lossless and half the size of a WAV file."""
    sound = io.BytesIO()
    soundfile.write(sound, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return Player(name, _data_uri("audio/flac", sound))


def _draw_in_style(draw: Callable[[BinaryIO], None], look: str) -> io.BytesIO:
    drawn = io.BytesIO()
    with style.context([look, TRANSPARENT]):
        draw(drawn)
    return drawn


def _data_uri(media_type: str, content: io.BytesIO) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content.getvalue()).decode()}"
