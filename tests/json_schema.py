"""The JSON schema of reports, from the types that reports are made of.

python -m tests.json_schema      writes netcheck/report/schema.json anew
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from netcheck.figures import batches, cost, gradients, network, risk, step
from netcheck.figures.fixes import Fix
from netcheck.figures.unchecked import Reason
from netcheck.findings import Assumption, Construction, Evidence, GivenArgument, Layer, LeftOut, Severity, Summary, Verdict
from netcheck.location import Location
from netcheck.report.json import SCHEMA

FILE = Path(__file__).parent.parent / "netcheck" / "report" / "schema.json"
NAMES = {batches.Operation: "BatchOperation", network.Operation: "Operation"}  # of two classes with one name
WHOLE = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
MORE: dict[type, dict[str, Any]] = {  # keys that follow from others
    cost.Cost: {"flops": WHOLE, "peak_bytes": WHOLE},
    batches.Batches: {"equal": {"type": ["boolean", "null"]}, "engine": TEXT, "dropped": {"type": "integer"}},
    gradients.Gradients: {"risk": {"anyOf": [{"$ref": "#/$defs/Risk"}, {"type": "null"}]}},
}
OPTIONAL = {Location: {"cell": WHOLE, "cell_line": WHOLE}}  # of a notebook alone


def schema() -> dict[str, Any]:
    """The whole document."""
    defs: dict[str, Any] = {}
    finding = object_of(
        {
            "code": {"type": "string", "pattern": r"^(NC|TS)\d{3}$"},
            "name": TEXT,
            "severity": {"enum": [one.value for one in Severity]},
            "verdict": {"enum": [one.value for one in Verdict]},
            "message": TEXT,
            "help": TEXT,
            "evidence": reference(Evidence, defs),
            "modules": TEXTS,
            "locations": {"type": "array", "items": reference(Location, defs)},
            "count": {"type": "integer", "minimum": 1},
            "belongs_to": {"type": ["string", "null"]},
            "operations": TEXTS,
            "fix": or_null(reference(Fix, defs)),
            "by_hand": TEXT,
            "more": TEXT,
        }
    )
    listed = {"type": "array", "items": {"$ref": "#/$defs/Finding"}}
    model = object_of(
        {
            "model": TEXT,
            "target": TEXT,
            "ok": {"type": "boolean"},
            "headline": TEXT,
            "well": TEXTS,
            "inputs": TEXT,
            "wrapped": TEXT,
            "seconds": {"$ref": "#/$defs/float"},
            "summary": or_null(reference(Summary, defs)),
            "gradients": or_null(reference(gradients.Gradients, defs)),
            "network": or_null(reference(network.Network, defs)),
            "cost": or_null(reference(cost.Cost, defs)),
            "batches": or_null(reference(batches.Batches, defs)),
            "step": or_null(reference(step.TrainingStep, defs)),
            "findings": listed,
            "suppressed": listed,
            "known": listed,
            "skipped": TEXTS,
            "unshown": TEXT,
            "left_out": {"type": "array", "items": reference(LeftOut, defs)},
            "construction": or_null(reference(Construction, defs)),
            "unchecked": {"enum": [*(one.key for one in Reason), None]},
        }
    )
    for kind in (Layer, risk.Risk, GivenArgument, Assumption):
        reference(kind, defs)
    defs |= {"Finding": finding, "Model": model, "float": {"type": ["number", "string"]}}
    defs["float"] = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
    reason = {"reason": {"enum": [one.key for one in Reason]}, "models": WHOLE, "targets": TEXTS, "advice": TEXT}
    count = {"code": TEXT, "name": TEXT, "severity": {"enum": [one.value for one in Severity]}}
    document = {
        "schema": {"const": SCHEMA},
        "netcheck": TEXT,
        "checked": WHOLE,
        "models": {"type": "array", "items": {"$ref": "#/$defs/Model"}},
        "statistics": {"type": "array", "items": object_of({**count, "findings": WHOLE, "models": WHOLE})},
        "errors": TEXTS,
        "unchecked": {"type": "array", "items": object_of(reason)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"netcheck's report, schema {SCHEMA}",
        **object_of(document, optional=("models", "statistics")),
        "oneOf": [{"required": ["models"]}, {"required": ["statistics"]}],
        "$defs": dict(sorted(defs.items())),
    }


def object_of(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with these keys, to which others may come in time."""
    return {"type": "object", "properties": properties, "required": [key for key in properties if key not in optional]}


def or_null(one: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [one, {"type": "null"}]}


def reference(kind: type, defs: dict[str, Any]) -> dict[str, Any]:
    """A dataclass, defined once."""
    name = NAMES.get(kind, kind.__name__)
    if name not in defs:
        defs[name] = {}
        hints = get_type_hints(kind)
        own = {one.name: of_type(hints[one.name], defs) for one in fields(kind)}
        defs[name] = object_of({**own, **MORE.get(kind, {}), **OPTIONAL.get(kind, {})}, tuple(OPTIONAL.get(kind, {})))
    return {"$ref": f"#/$defs/{name}"}


def of_type(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """What a value of a type is in JSON."""
    simple = {int: {"type": "integer"}, str: TEXT, bool: {"type": "boolean"}, float: {"$ref": "#/$defs/float"}, Any: {}}
    if hint in simple:
        return simple[hint]
    if get_origin(hint) in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if one is type(None) else of_type(one, defs) for one in get_args(hint)]}
    if get_origin(hint) is tuple:
        first, *others = get_args(hint)
        if others == [...]:
            return {"type": "array", "items": of_type(first, defs)}
        return {"type": "array", "prefixItems": [of_type(one, defs) for one in (first, *others)], "items": False}
    if get_origin(hint) in (dict, Mapping):
        return {"type": "object", "additionalProperties": of_type(get_args(hint)[1], defs)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [one.value for one in hint]}
    assert is_dataclass(hint), f"no JSON is known for {hint}"
    return reference(hint, defs)  # type: ignore[arg-type]


def written() -> str:
    """The file's text."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
