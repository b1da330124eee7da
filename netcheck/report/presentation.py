"""How a report shows itself where it is asked to: `str(report)`, `report.to_dict()`, in a notebook, as a figure."""

from __future__ import annotations

from typing import Any

from netcheck.findings import Report


def as_text(report: Report) -> str:
    """What `print(report)` shows."""
    from netcheck.report import text

    return text.render([report], colour=False)


def as_html(report: Report) -> str:
    """What a notebook shows."""
    from netcheck.report import html

    return html.fragment(report)


def as_dict(report: Report) -> dict[str, Any]:
    """The report's entry in JSON, by the schema that `netcheck.report.json` documents."""
    from netcheck.report import json

    return json.model_entry(report)


def as_figure(report: Report, axes: Any = None) -> Any:
    """The gradient on its way through the net, drawn with matplotlib; see `netcheck.report.plot`."""
    from netcheck.report import plot

    return plot.gradients(report, axes)
