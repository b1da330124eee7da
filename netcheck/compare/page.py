"""A comparison as one HTML file that needs nothing beside itself, in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence

import netcheck
from netcheck.compare import text
from netcheck.compare.comparison import Comparison
from netcheck.report import html


def render(comparisons: Sequence[Comparison], alone: Sequence[str]) -> str:
    """All comparisons as one page."""
    style = html.part("style.css")
    policy = f"default-src 'none'; style-src {html.digest(style)}; base-uri 'none'; form-action 'none'"
    return html.template("comparison.html.jinja").render(
        comparisons=comparisons, alone=alone, style=style, policy=policy, version=netcheck.__version__, text=text
    )
