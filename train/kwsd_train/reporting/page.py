"""Pieces of an HTML page that needs no other file: tables, figures, players."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from string import Template
from typing import BinaryIO, NamedTuple

import soundfile
from matplotlib import style

from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd_train.data.dataset import Int16

LIGHT, DARK = "default", "dark_background"
CLEAR = {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "savefig.dpi": 120}

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #d0d0d0; --dim: #5c5c5c; --tint: 37 99 235; --soft: #f4f6fb }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --dim: #a8a8a8; --tint: 96 150 255; --soft: #1f2430 }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem 1rem 4rem }
h1 { line-height: 1.2 }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
h3 { margin-top: 2rem }
p, li { max-width: 46rem }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 1.5rem 0 }
dl div { background: var(--soft); border-radius: .5rem; padding: .7rem 1rem }
dt { color: var(--dim); font-size: .85rem }
dd { margin: 0; font-size: 1.35rem; font-weight: 600 }
dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--dim) }
.wide { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem }
caption { text-align: left; color: var(--dim); padding-bottom: .3rem; max-width: calc(100vw - 2rem) }
th, td { padding: .25rem .8rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child { text-align: left }
.matrix th, .matrix td { padding: .35rem .5rem; text-align: center }
.matrix th:first-child { text-align: right }
.chart img { display: block; width: 100%; min-width: 34rem; max-width: 56rem }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem }
figure { margin: 0 }
figcaption { font-size: .85rem; color: var(--dim); overflow-wrap: anywhere }
.clips img, .clips audio { display: block; width: 100% }
audio { height: 2.2rem; vertical-align: middle }
td audio { width: 11rem }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p>$lead</p>
<nav aria-label="Sections"><ul>$contents</ul></nav>
</header>
<main>
$body
</main>
</body>
</html>
""")


class Html(str):
    """Text that is HTML already; any other is escaped."""

    __slots__ = ()


class Cell(Html):
    """A whole cell of a table, with its own tags; any other text is put into one."""

    __slots__ = ()


class Section(NamedTuple):
    """A part of the page, with a heading that the contents lead to."""

    title: str
    body: list[Html]


def page(title: str, lead: str, sections: Iterable[Section]) -> str:
    """The whole page."""
    contents, body = [], []
    for number, section in enumerate(sections, 1):
        contents.append(f'<li><a href="#part-{number}">{html.escape(section.title)}</a></li>')
        body.append(f'<section id="part-{number}">\n<h2>{html.escape(section.title)}</h2>')
        body += [*section.body, "</section>"]
    return PAGE.substitute(
        title=html.escape(title), lead=html.escape(lead), contents="".join(contents), body="\n".join(body)
    )


def heading(text: str) -> Html:
    """A heading inside a section."""
    return Html(f"<h3>{html.escape(text)}</h3>")


def paragraph(text: str) -> Html:
    """A paragraph."""
    return Html(f"<p>{html.escape(text)}</p>")


def tiles(figures: Iterable[tuple[str, str, str]]) -> Html:
    """The few figures that matter most: name, value, and what else there is to say of it."""
    tile = "<div><dt>{}</dt><dd>{} <small>{}</small></dd></div>"
    return Html("<dl>" + "".join(tile.format(*map(html.escape, figure)) for figure in figures) + "</dl>")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> Html:
    """A table whose first column names its rows, in a frame that scrolls where the screen is too narrow."""
    columns = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    lines = "\n".join(
        f'<tr><th scope="row">{html.escape(first)}</th>' + "".join(map(_cell, others)) + "</tr>"
        for first, *others in rows
    )
    return Html(
        f'<div class="wide" role="region" tabindex="0" aria-label="{html.escape(caption)}">\n<table class="{kind}">'
        f"<caption>{html.escape(caption)}</caption>\n<thead><tr>{columns}</tr></thead>\n<tbody>{lines}</tbody>\n"
        "</table></div>"
    )


def matrix(caption: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Html:
    """A confusion matrix: each row is tinted by its shares."""
    rows = (
        [label, *(_tinted(count, count / max(1, sum(row))) for count in row)]
        for label, row in zip(labels, counts, strict=True)
    )
    return table(caption, ["spoken", *labels], rows, "matrix")


def chart(text: str, draw: Callable[[BinaryIO], None]) -> Html:
    """A figure, drawn once for a light page and once for a dark one.

    Parameters
    ----------
    text : str
        What the figure shows, for those who do not see it.
    draw : callable
        Writes a PNG into a file.
    """
    light, dark = (_uri("image/png", _drawn(draw, look)) for look in (LIGHT, DARK))
    return Html(
        f'<div class="wide chart" role="region" tabindex="0" aria-label="Figure">'
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img alt="{html.escape(text)}" src="{light}"></picture></div>'
    )


def picture(text: str, draw: Callable[[BinaryIO], None]) -> Html:
    """A small WebP picture that looks the same on a light and a dark page."""
    return Html(f'<img alt="{html.escape(text)}" src="{_uri("image/webp", _drawn(draw, LIGHT))}">')


def gallery(figures: Iterable[tuple[Html, str]]) -> Html:
    """Pictures and players side by side, each with a line below."""
    # A path breaks after its folder, if it has to.
    lines = ((content, html.escape(text).replace("/", "/<wbr>")) for content, text in figures)
    shown = (f"<figure>{content}<figcaption>{line}</figcaption></figure>" for content, line in lines)
    return Html('<div class="clips">' + "\n".join(shown) + "</div>")


def player(name: str, samples: Float32 | Int16) -> Html:
    """An audio player with 16 kHz sound in FLAC: exactly what the model heard, in half the size of a WAV."""
    heard = io.BytesIO()
    soundfile.write(heard, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    source = _uri("audio/flac", heard)
    return Html(f'<audio controls preload="metadata" aria-label="{html.escape(name)}" src="{source}"></audio>')


def _cell(cell: str) -> Cell:
    if isinstance(cell, Cell):
        return cell
    return Cell(f"<td>{cell if isinstance(cell, Html) else html.escape(cell)}</td>")


def _tinted(count: int, share: float) -> Cell:
    return Cell(f'<td style="background: rgb(var(--tint) / {0.6 * share:.2f})">{count}</td>')


def _drawn(draw: Callable[[BinaryIO], None], look: str) -> io.BytesIO:
    drawn = io.BytesIO()
    with style.context([look, CLEAR]):
        draw(drawn)
    return drawn


def _uri(kind: str, content: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
