"""What `import netcheck` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import netcheck
from netcheck import engine
from netcheck.findings import Evidence, Finding, Report, Severity


def run(program: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_every_public_name_can_be_had() -> None:
    for name in netcheck.__all__:
        assert getattr(netcheck, name) is not None
        assert name in dir(netcheck)
    at_once = {"Evidence", "Finding", "Location", "Report", "Severity", "Verdict", "__version__"}
    assert set(netcheck.HOME_OF) == set(netcheck.__all__) - at_once


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'chekc'"):
        netcheck.chekc  # type: ignore[attr-defined]  # noqa: B018


def test_importing_netcheck_imports_neither_torch_nor_click() -> None:
    assert (
        run("""
        import sys, netcheck
        netcheck.Report, netcheck.Severity.ERROR, netcheck.NetcheckError, netcheck.rules()
        print({"torch", "click", "tabulate", "numpy"} & set(sys.modules))
    """)
        == "set()"
    )


@pytest.mark.parametrize("first", ["netcheck.rules", "netcheck.rules.base", "netcheck.api", "netcheck"])
def test_rules_is_a_function_and_a_package_whatever_is_imported_first(first: str) -> None:
    assert (
        run(f"""
        import {first}
        import netcheck
        assert [rule.code for rule in netcheck.rules()][0] == "NC001"
        import netcheck.rules.base
        assert netcheck.rules()[0].name == "cannot-load"
        print(netcheck.rules.base.Rule.__name__)
    """)
        == "Rule"
    )


def test_trace_is_a_function_and_a_package() -> None:
    assert (
        run("""
        import netcheck.trace
        import netcheck
        print(callable(netcheck.trace), netcheck.trace.__name__)
    """)
        == "True netcheck.trace"
    )


def test_assert_clean_raises_with_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("NC501", "poor-init", Severity.INFO, "the fact", "", Evidence(1.0, "x", "x"))
    report = Report("Net", [finding])
    options = []
    monkeypatch.setattr(engine, "check", lambda *args, **kwargs: options.append((args, kwargs)) or report)
    netcheck.assert_clean("model", "inputs", ignore=["NC1"])
    assert options == [(("model", "inputs"), {"ignore": ["NC1"]})]
    report.findings = [Finding("NC501", "poor-init", Severity.WARNING, "the fact", "", Evidence(1.0, "x", "x"))]
    with pytest.raises(AssertionError, match=r"warning\[NC501\] poor-init: the fact"):
        netcheck.assert_clean("model")
