"""The report as one HTML file, and as a fragment for notebooks.

The file needs nothing beside itself: style, script and drawings are in it, and its content security policy allows
nothing else, so that it can be opened from a disk or an archive of a CI run. It follows the reader's light or dark
mode, can be read by keyboard and screen reader, and prints with everything unfolded. Without a script all is there
but the values that appear beside the pointer; those are in the table under each drawing.

What it is made of stands in `netcheck.report.page`. All text is escaped by jinja2; controls, which no reader can
show, are spelled out before.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netcheck
from netcheck.findings import Report
from netcheck.report.isolation import isolated, isolated_one
from netcheck.report.page import charts, terms, views
from netcheck.report.terminal import printable_text

if TYPE_CHECKING:
    from jinja2 import Template


@isolated
def render(reports: Sequence[Report], *, root: Path | None = None) -> str:
    """All reports as one HTML document.

    Args:
        reports: one a model.
        root: directory that paths are shown relative to; None means the current one.
    """
    page = views.page_of(reports, Path.cwd() if root is None else root)
    style, script = f"{part('style.css')}\n{part('drawing.css')}", part("script.js")
    policy = f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; base-uri 'none'; form-action 'none'"
    return template("report.html.jinja").render(
        page=page, style=style, script=script, policy=policy, version=netcheck.__version__
    )


@isolated_one
def fragment(report: Report, *, root: Path | None = None) -> str:
    """One report as HTML that a notebook shows: it brings its style and needs no script."""
    page = views.page_of([report], Path.cwd() if root is None else root)
    return template("fragment.html.jinja").render(page=page, style=part("style.css"), version=netcheck.__version__)


@cache
def part(name: str) -> str:
    """A file that goes into the page as it is."""
    return files("netcheck.report.page").joinpath(name).read_text("utf-8").strip()


def digest(content: str) -> str:
    """What a content security policy calls an inline style or script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


@cache
def template(name: str) -> Template:
    """A template in which everything is escaped and nothing may be missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("netcheck.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["linked"] = lambda text: Markup(terms.linked(text))
    environment.globals |= {"chart_width": charts.WIDTH, "chart_height": charts.HEIGHT}
    return environment.get_template(name)


def shown(value: Any) -> Any:
    """A value as it may stand on the page: controls and lone surrogates spelled out. Markup is left alone."""
    return printable_text(value) if type(value) is str else value
