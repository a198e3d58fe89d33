"""The page of one law: its figure, its statement, its conditions, and what it means for the given inputs."""

from __future__ import annotations

from pathlib import Path

from plotly.offline import get_plotlyjs

from interlace import __version__
from interlace.errors import MissingFileError, RecipeError
from interlace.report.laws.chart import law_chart
from interlace.report.page import asset, content_policy, environment, write_whole
from interlace.theory.laws import Law
from interlace.theory.laws.curves import PICTURES
from interlace.theory.laws.reading import Reading

OWN = '<meta name="generator" content="interlace'
"""What every page of ours holds near its beginning."""

TONES = {True: ("holds", "holds here"), False: ("contradicts", "does not hold"), None: ("unresolved", "to be measured")}
"""Whether a condition holds: the chip's tone, its words."""


def check_plot(law: Law, path: Path) -> None:
    """Before anything is computed: whether `law` can be drawn, and into `path`.

    Raises RecipeError if the law has nothing to draw, if `path` is no .html file or a file that is none of ours;
    MissingFileError if its folder is not there.
    """
    if law.label not in PICTURES:
        raise RecipeError(
            f"--plot must be asked of a law that has a figure: {', '.join(PICTURES)}. Got {law.label}. Leave it out."
        )
    if path.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"--plot must name an .html file. Got {path}. Write --plot {path.stem or law.label}.html.")
    if not path.parent.is_dir():
        raise MissingFileError(f"--plot must lie in a folder that is there. Got {path}. Make {path.parent} first.")
    if path.is_dir() or (path.exists() and not _is_ours(path)):
        raise RecipeError(f"--plot must name a new file, or an earlier plot. Got {path}, which is neither. Rename it.")


def write_law_plot(reading: Reading, path: Path) -> Path:
    """Write one self-contained HTML page about `reading`, atomically. Returns `path`.

    Raises as `check_plot` does, and RecipeError if the law's own value was not asked.
    """
    check_plot(reading.law, path)
    return write_whole(render_law(reading), path)


def render_law(reading: Reading) -> str:
    """The page's HTML. Raises RecipeError if the law has no value to draw."""
    if reading.value is None:
        missing = ", ".join(reading.missing)
        raise RecipeError(f"--plot must be given what {reading.law.label} needs. Got no {missing}. Give it too.")
    plotly, script = get_plotlyjs(), asset("charts.js")
    picture = PICTURES[reading.law.label](reading.inputs, reading.value)
    template = environment().get_template("laws/law.html.j2")
    return template.render(
        law=reading.law,
        meaning=reading.meaning,
        chart=law_chart("law", picture),
        conditions=[(str(condition), *TONES[holds]) for condition, holds in reading.conditions],
        assumed=reading.assumed,
        policy=content_policy((plotly, script)),
        version=__version__,
        style=asset("style.css"),
        plotly=plotly,
        script=script,
    )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return OWN.encode() in file.read(4096)
