"""All that says what a run should do, put together: command line, environment, configuration file, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netcheck.errors import UsageError
from netcheck.settings import OPTIONS, Settings
from netcheck.settings.config import closest, named_file
from netcheck.settings.models import table_of
from netcheck.settings.options import Option, Switch, did_you_mean, toml

VARIABLES = {one.variable: one for one in OPTIONS.values() if one.variable}
OWN_VARIABLES = ("NETCHECK_CONFIG", "NETCHECK_ISOLATED")
ALMOST = 0.9  # likeness, of which the common beginning is a good part: NETCHECK_ may be another program's, too
WORKER = "NETCHECK_WORKER"  # marks netcheck's own processes; not an option


@dataclass(frozen=True, slots=True)
class Gathered:
    """Settings, and where each came from: "command line", a variable's name, a file, or "default"."""

    settings: Settings
    origins: dict[str, str]


def gather(
    options: Mapping[str, Any],
    *,
    targets: tuple[str, ...] = (),
    config: str | None = None,
    isolated: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Gathered:
    """Put a run's settings together; what the command line says wins over the environment, and that over the file.

    Args:
        options: fields of `Settings` from the command line; None and () mean not given.
        targets: what to check; the configuration file is looked for where they are.
        config: the configuration file to read instead of the closest pyproject.toml.
        isolated: read neither a configuration file nor the environment.
        environment: the environment variables; None for none.

    Raises:
        UsageError: a key, variable or value is unknown or makes no sense.
    """
    environment = environment or {}
    isolated = isolated or Switch().read(environment.get("NETCHECK_ISOLATED") or "no")
    if isolated and config:
        raise UsageError("--config and --isolated contradict each other: give one of them")
    values: dict[str, Any] = {"cache": True}
    origins: dict[str, str] = {}
    if not isolated:
        path = config or environment.get("NETCHECK_CONFIG")
        found = named_file(path) if path else closest(targets)
        if found:
            values |= found.values
            origins |= dict.fromkeys(found.values, str(found.file))
            values["root"] = found.root
        for name, value, variable in from_environment(environment):
            values[name], origins[name] = value, variable
    for name, value in options.items():
        if value is not None and value != ():
            values[name], origins[name] = OPTIONS[name].read(value, OPTIONS[name].label), "command line"
    return Gathered(Settings(targets=targets, **values), origins)


def from_environment(environment: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    """(field, value, variable) of each option that the environment sets; an empty variable is not set.

    Raises:
        UsageError: a variable is almost that of an option, or its value makes no sense.
    """
    found = []
    for variable, text in environment.items():
        if not variable.startswith("NETCHECK_") or variable in OWN_VARIABLES or variable == WORKER or not text:
            continue
        one = VARIABLES.get(variable)
        if one is not None:
            value = tuple(text.split(",")) if one.kind.many else text
            found.append((one.name, one.read(value, variable), variable))
        elif close := did_you_mean(variable, (*VARIABLES, *OWN_VARIABLES), ALMOST):
            raise UsageError(f"unknown environment variable {variable}{close}")
    return found


def shown(gathered: Gathered) -> str:
    """Settings as TOML that `--config` reads, each with where it came from; what has no value is a comment."""
    settings = gathered.settings
    lines = [f"# paths and patterns start from {toml(settings.root)}"] if settings.root else []
    for name, one in OPTIONS.items():
        if one.by_project:
            value = getattr(settings, name)
            text = f"# {one.key} is not set" if value is None else f"{one.key} = {written(one, value)}"
            lines.append(f"{text}  # {gathered.origins.get(name, 'default')}")
    return "\n".join(lines) + "\n"


def written(one: Option, value: Any) -> str:
    """A value in TOML; of a model's own options, the keys instead of the fields."""
    if one.name != "models":
        return one.kind.write(value)
    return toml([{**table_of(entry), **{OPTIONS[n].model_key or OPTIONS[n].key: v for n, v in entry.options}} for entry in value])
