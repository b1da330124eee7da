"""The JSON schema that ships with the package: every report validates against it, and it knows every key."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import Assumption, Construction, GivenArgument, LeftOut, Report
from netcheck.report.json import render
from tests import json_schema, warm

from . import hostile, samples

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads(files("netcheck.report").joinpath("schema.json").read_text("utf-8"))


def strict(value: Any) -> Any:
    """The schema without room for keys that it does not name."""
    if isinstance(value, list):
        return [strict(one) for one in value]
    if not isinstance(value, dict):
        return value
    closed = {"additionalProperties": False} if "properties" in value and "type" in value else {}
    return {**{key: strict(one) for key, one in value.items()}, **closed}


def validate(text: str) -> None:
    jsonschema.Draft202012Validator(strict(SCHEMA)).validate(json.loads(text))


def test_the_schema_is_one_and_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json_schema.FILE.read_text("utf-8") == json_schema.written(), "write it anew with `python -m tests.json_schema`"


def test_reports_validate(tmp_path: Path) -> None:
    built = Construction("Net(w=3)", "net.py:3", (GivenArgument("w", "3"),), (Assumption("argument", "w", "3"),), {"w": 3})
    whole = samples.report(tmp_path, construction=built, left_out=[LeftOut("net.py", 3, "writes")])
    failed = Report("Net", target="net.py:Net", unchecked=Unchecked(Reason.TRACE), skipped=["a reason"])
    nameless = [samples.without_numbers(tmp_path, number) for number in (math.nan, math.inf, -math.inf)]
    validate(render([whole, failed, *nameless, *(hostile.report(name) for name in hostile.NAMES.values())]))
    validate(render([whole], statistics=True))
    validate(render([]))


def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    document = json.loads(render([samples.report(tmp_path)]))
    document["models"][0]["findings"][0]["severity"] = "grave"
    with pytest.raises(jsonschema.ValidationError):
        validate(json.dumps(document))


def test_a_real_report_validates() -> None:
    done = warm.line(
        "netcheck --format json --devices 2 --batch-size 4 examples/lecture/data_parallel.py:Toy examples/lecture/relu.py"
    )
    validate(done.stdout)
