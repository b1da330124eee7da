"""Names that break out of formats which do not escape them, and reports full of them."""

from __future__ import annotations

from netcheck.findings import Evidence, Finding, Layer, Location, Report, Severity, Summary, Verdict

NAMES = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onmouseover=alert(1) x='",
    "image": '<img src=x onerror="alert(1)">',
    "line feed": "first\n::error::second",
    "carriage return": "first\rsecond",
    "percent": "%0A::error file=x::y%25",
    "old command": "##[error]x",
    "cdata": "]]></failure><failure>",
    "comment": "--><!--",
    "entity": "&lt;b&gt;&amp;",
    "link": "[click](javascript:alert(1)) http://example.com www.example.com",
    "mention": "@everyone #1 !2 %3",
    "code": "``` ` ``",
    "table": "a | b\n|---|---|",
    "heading": "# x",
    "braces": "{0} {{1}} {% raw %} {{ config }}",
    "escape": "\x1b[2J\x00\x07\x7f",
    "surrogate": "\ud800",
    "override": "\u202egnp\u2028",
    "not in XML": "\ufffe\uffff",
    "emoji": "🧠👩‍🔬日本語",
    "long": "x" * 10_000,
    "empty": "",
    "space": " ",
}


def report(name: str, file: str = "model.py", **changes: object) -> Report:
    """A report in which `name` stands wherever a user's name may stand."""
    place = Location(file, 3, 5, 3, 9, function=name)
    finding = Finding(
        "NC501",
        "poor-init",
        Severity.ERROR,
        f"before {name} after",
        f"write `{name}` or {name}\nor not",
        Evidence(float("inf"), "decades", f"gain of {name}", float("nan")),
        modules=(name, f"layers.{name}"),
        locations=(place, Location(name, 1), Location(file, 1)),
        count=2,
    )
    cleared = Finding(
        "NC401",
        "no-skip-connection",
        Severity.WARNING,
        name,
        name,
        Evidence(1.0, name, name),
        verdict=Verdict.CLEARED,
    )
    layers = (
        Layer(name, name, name, (2, 3), 6, place, name),
        Layer(f"layers.{name}", "nn.Linear", "linear", None, 0, None),
    )
    summary = Summary(3, 1, 10, 1, 1, unknown=(name,), layers=layers)
    values = {
        "model": name,
        "findings": [finding, cleared],
        "summary": summary,
        "inputs": name,
        "skipped": [name],
        "target": f"{file}:{name}",
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def plain(code: str = "NC501", severity: Severity = Severity.WARNING, **changes: object) -> Finding:
    """A finding with nothing hostile in it."""
    values = {
        "code": code,
        "name": "poor-init",
        "severity": severity,
        "message": "the fact",
        "help": "the cure",
        "evidence": Evidence(-5.0, "decades", "−5.0 decades", 3.0),
        "modules": ("layers.0",),
        "locations": (Location("model.py", 3, 5),),
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]
