"""Compares kwsd with other keyword spotters that PyPI offers together with models.

``python benchmarks/peers.py [--data FOLDER …]`` creates a separate environment for each engine under
``build/benchmarks``. It runs all engines in turn on the same ten minutes of audio, in several rounds. Then it prints a
table. Other programs may use the machine, because only results of the same round are compared, and CPU time counts one
process only.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from audio import BUILD, ROOT, make_recording
from rich.progress import track

mpl.use("svg")
from matplotlib import pyplot as plt

Result = dict[str, float]

PACKAGES = {
    "kwsd": ["--no-deps", str(ROOT)],
    "pymicro-wakeword": ["pymicro-wakeword==2.5.0"],
    "openwakeword": ["openwakeword==0.4.0"],  # the last release whose wheel contains the networks
    "pocketsphinx": ["pocketsphinx==5.1.1"],
    "pyopen-wakeword": ["pyopen-wakeword==1.1.0"],
}
ENGINES = ["kwsd", "pymicro-wakeword, one word", *list(PACKAGES)[1:]]
"""Names of the engines in `engines.py`. The part before a comma is the package."""

COLUMNS = [
    "engine",
    "words",
    "CPU s / audio s",
    "times kwsd's",
    "peak memory, MB",
    "installed, MB",
    "ready, s",
    "hop, ms",
    "worst step, ms",
]
FIGURE = ROOT / "docs" / "peers.svg"


def main(
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder of recordings. May be repeated. The default is the tests' clips.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Rounds over all engines.")] = 5,
    seconds: Annotated[int, typer.Option(help="Seconds of audio.")] = 600,
) -> None:
    """Print the comparison as Markdown, and draw the chart."""
    for package in PACKAGES:
        create_environment(package)
    audio = make_recording(data or [], seconds)
    order = [engine for _ in range(runs) for engine in ENGINES]
    results: dict[str, list[Result]] = {engine: [] for engine in ENGINES}
    for engine in track(order, "Measuring", console=None, transient=True, disable=not sys.stderr.isatty()):
        results[engine].append(run_engine(engine, audio))
    print(format_comparison(results))
    draw_chart(results)


def interpreter_path(package: str) -> Path:
    """The path of the Python interpreter in the environment of a package."""
    return BUILD / package / "bin" / "python"


def create_environment(package: str) -> None:
    """Create the environment of a package. That of kwsd is updated each time, the others are reused."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(interpreter_path(package)),
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
    ]
    if not interpreter_path(package).exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", BUILD / package], check=True)
        if package == "kwsd":
            subprocess.run([*pip, "--requirement", ROOT / "requirements" / "run.txt"], check=True)
    elif package != "kwsd":
        return
    subprocess.run([*pip, *PACKAGES[package]], check=True)


def run_engine(engine: str, audio: Path) -> Result:
    """Run an engine once over the recording, and return its results."""
    script = Path(__file__).with_name("engines.py")
    command = [interpreter_path(_package(engine)), script, engine, audio]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=BUILD)
    result: Result = json.loads(done.stdout)
    return result


def format_comparison(results: dict[str, list[Result]]) -> str:
    """The table of medians, spreads, and ratios to kwsd in the same round."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for engine, rounds in results.items():
        ratios = [each["cpu"] / ours["cpu"] for ours, each in zip(results["kwsd"], rounds, strict=True)]
        cells = [
            engine,
            f"{rounds[0]['words']}",
            _spread((each["cpu"] for each in rounds), "{:.4f}".format),
            "1" if engine == "kwsd" else _spread(ratios, "{:.2f}".format),
            f"{statistics.median(each['memory_mb'] for each in rounds):.0f}",
            f"{_installed_mb(_package(engine)):.0f}",
            _spread((each["ready_s"] for each in rounds), "{:.2f}".format),
            f"{rounds[0]['hop_ms']:.0f}",
            f"{statistics.median(each['worst_ms'] for each in rounds):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_chart(results: dict[str, list[Result]]) -> None:
    """Draw a bar chart of the CPU time and memory of each engine."""
    mpl.rcParams["svg.hashsalt"] = "kwsd"
    figure, panels = plt.subplots(1, 2, sharey=True, figsize=(9, 3), layout="constrained")
    colours = ["tab:red" if engine == "kwsd" else "tab:gray" for engine in results]
    names = [f"{_package(engine)}, {rounds[0]['words']}" for engine, rounds in results.items()]
    for panel, key, scale, unit in zip(panels, ("cpu", "memory_mb"), (100, 1), ("% of one core", "MB"), strict=True):
        values = [scale * statistics.median(each[key] for each in rounds) for rounds in results.values()]
        bars = panel.barh(names, values, color=colours)
        panel.bar_label(bars, fmt="%.3g", padding=3)
        panel.margins(x=0.15)
        panel.set_xlabel(unit)
    panels[0].set_ylabel("engine, words")
    panels[0].invert_yaxis()
    figure.savefig(FIGURE, metadata={"Date": None})


def _package(engine: str) -> str:
    return engine.partition(",")[0]


def _spread(values: Iterable[float], text: Callable[[float], str]) -> str:
    """The median, with minimum and maximum in brackets."""
    values = sorted(values)
    return f"{text(statistics.median(values))} [{text(values[0])}, {text(values[-1])}]"


def _installed_mb(package: str) -> float:
    files = (path for path in (BUILD / package / "lib").rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 1e6


if __name__ == "__main__":
    typer.run(main)
