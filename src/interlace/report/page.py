"""The page: one template filled with views, and a policy under which nothing but this file's own scripts can run."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from interlace import __version__
from interlace.analysis.shootout import NoShootout, Shootout
from interlace.encoding import dumps
from interlace.report.views import Run, page_view


def write_report(
    runs: Sequence[Run],
    path: Path,
    shootouts: Sequence[Shootout] = (),
    no_shootouts: Sequence[NoShootout] = (),
) -> Path:
    """Write one self-contained HTML page for runs, the shoot-outs of their recipes, or why there is none,
    atomically. Returns `path`.

    Figures are drawn as they come; none is computed here. The page needs no network and may not use it. At least one
    run (an assert: a caller without runs has nothing to report).
    """
    text = render(runs, shootouts, no_shootouts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(text, path)


def write_whole(text: str, path: Path) -> Path:
    """Write `text` to `path`, all of it or nothing."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
    return path


def render(runs: Sequence[Run], shootouts: Sequence[Shootout] = (), no_shootouts: Sequence[NoShootout] = ()) -> str:
    """The page's HTML."""
    assert runs, "a report needs at least one run"
    plotly, script = get_plotlyjs(), asset("charts.js")
    template = environment().get_template("page.html.j2")
    return template.render(
        page=page_view(runs, shootouts, no_shootouts),
        policy=content_policy((plotly, script)),
        version=__version__,
        style=asset("style.css"),
        plotly=plotly,
        script=script,
    )


def content_policy(scripts: Sequence[str]) -> str:
    """Content-Security-Policy: exactly these scripts run (by hash), nothing is fetched, nothing is sent.

    Styles stay inline because plotly writes them; images are plotly's own exports.
    """
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def script_json(value: object) -> Markup:
    """`value` as JSON that is safe between script tags: no character that HTML could read."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    text = dumps(value)
    for letter, escape in escapes.items():
        text = text.replace(letter, escape)
    return Markup(text)


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


@cache
def environment() -> Environment:
    """The templates' environment: everything is escaped but what passes `trusted`."""
    made = Environment(
        loader=PackageLoader("interlace.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Only the package's own files pass `trusted`; whatever comes from models or data is escaped.
    made.filters |= {"script_json": script_json, "trusted": Markup}
    return made


@cache
def asset(name: str) -> str:
    """The text of one of the package's own files."""
    return resources.files("interlace.report").joinpath(name).read_text(encoding="utf-8")
