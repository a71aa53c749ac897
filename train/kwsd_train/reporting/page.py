"""Rendering of sections with text, tables, figures and sounds as one self-contained HTML file.

The template of the page is ``report.html.j2``. The template has a macro for each kind of block.
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
"""Matplotlib styles for the light and the dark version of the page."""
TRANSPARENT = {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "savefig.dpi": 120}


@dataclass(frozen=True)
class Player:
    """An audio player for one sound on the page.

    Parameters
    ----------
    name : str
        Name of the sound, which is shown to the reader.
    source : str
        The sound file as a data URI.
    """

    kind: ClassVar[str] = "player"
    name: str
    source: str


@dataclass(frozen=True)
class ShadedCount:
    """A table cell with a count. The strength of the background colour is `share`, in [0, 1]."""

    kind: ClassVar[str] = "shaded"
    count: int
    share: float


Cell = str | Player | ShadedCount


@dataclass(frozen=True)
class Heading:
    """A subheading inside a section of the page."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text on the page."""

    kind: ClassVar[str] = "paragraph"
    text: str


class Tile(NamedTuple):
    """One of the most important results, with its name, its value and a short note."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Tiles:
    """A row that shows the most important results side by side."""

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Table:
    """A table, which a reader can scroll sideways on a narrow screen.

    Parameters
    ----------
    head : sequence of str
        Names of the columns of the table.
    rows : sequence of sequences
        Cells of each row. The first cell of each row is the name of the row.
    style : str
        Class in the style sheet: ``"matrix"``, ``"text"`` or an empty string. Cells of the class ``"text"`` wrap long
        texts.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    style: str = ""


@dataclass(frozen=True)
class Chart:
    """A plot with a description for screen readers.

    The plot is stored as two data URIs, one for a light page and one for a dark page.
    """

    kind: ClassVar[str] = "chart"
    description: str
    light: str
    dark: str


class GalleryClip(NamedTuple):
    """A picture of a clip with an audio player below the picture.

    Parameters
    ----------
    description : str
        Text for screen readers that describes the picture.
    picture : str
        The picture file as a data URI.
    player : Player
        The audio player. The name of its sound is shown below the player.
    """

    description: str
    picture: str
    player: Player


@dataclass(frozen=True)
class Gallery:
    """A block that shows several clips side by side."""

    kind: ClassVar[str] = "gallery"
    clips: Sequence[GalleryClip]


Block = Heading | Paragraph | Tiles | Table | Chart | Gallery


class Section(NamedTuple):
    """A section of the page. The table of contents has a link to the heading of each section."""

    title: str
    blocks: Sequence[Block]


def render_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the page as HTML. All text on the page is escaped."""
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
    """Make a table of a confusion matrix. The shade of each cell shows the cell's share of its row."""
    rows: list[list[Cell]] = [
        [label, *(ShadedCount(count, count / max(1, sum(row))) for count in row)]
        for label, row in zip(labels, counts, strict=True)
    ]
    return Table(caption, ["spoken", *labels], rows, "matrix")


def draw_chart(description: str, draw: Callable[[BinaryIO], None]) -> Chart:
    """Draw a plot twice, once for a light page and once for a dark page.

    Parameters
    ----------
    draw : callable
        Function that draws the plot and writes it into a file as PNG.
    """
    light, dark = (_data_uri("image/png", _draw_in_style(draw, look)) for look in (LIGHT, DARK))
    return Chart(description, light, dark)


def draw_picture(draw: Callable[[BinaryIO], None]) -> str:
    """Draw a WebP picture that is readable on a light and on a dark page, and return the picture as a data URI.

    Parameters
    ----------
    draw : callable
        Function that draws the picture and writes it into a file as WebP.
    """
    return _data_uri("image/webp", _draw_in_style(draw, LIGHT))


def make_player(name: str, samples: Float32 | Int16) -> Player:
    """Make an audio player for 16 kHz samples.

    The samples are stored as FLAC, which is lossless and needs half the space of a WAV file.
    """
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
