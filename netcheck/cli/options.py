"""A command with every option of `Settings`, in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netcheck.cli.completion import complete_rules

if TYPE_CHECKING:
    from netcheck.settings.options import Option

GROUPS = {  # of the options of `check`, as --help shows them; the last has the rest
    "Targets": ("exclude", "inputs", "input_from", "weights"),
    "Rules": ("select", "extend_select", "ignore", "baseline", "write_baseline", "add_ignores"),
    "Fixes": ("diff", "fix", "unsafe_fixes"),
    "Report": (
        "format",
        "output_file",
        "statistics",
        "verbose",
        "quiet",
        "colour",
        "min_severity",
        "fail_on",
        "require",
        "exit_zero",
    ),
    "Gradients": ("probe", "device", "dtype", "seeds", "seed", "remedies", "optimizer"),
    "Cost and devices": ("batch_size", "devices", "strategy", "device_memory", "inference", "context"),
    "Running": ("watch", "jobs", "timeout", "memory", "cache", "cache_dir", "allow_writes"),
    "Settings": ("config", "isolated", "show_settings"),
}


class CommandWithSettings(click.Command):
    """A command that has every option of `Settings` with a flag. They are only made for who looks at them."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, after the flags of the settings."""
        if not any(parameter.name == "select" for parameter in self.params):
            from netcheck.settings import OPTIONS

            self.params[1:1] = [flag(one) for one in OPTIONS.values() if one.flags]
        return super().get_params(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by group: forty in one list are hard to read."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        groups = {title: [records.pop(name) for name in names] for title, names in GROUPS.items()}
        [*_, last] = groups.values()
        last += records.values()
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


def flag(one: Option) -> click.Option:
    """The click option for one field of `Settings`; what is not given on the command line is None or ()."""
    from netcheck.settings.options import Choice, File, Number, Switch, Whole

    kind = one.kind
    names = [*one.flags, one.name]
    more: dict[str, Any] = {"metavar": one.metavar or None, "multiple": kind.many}
    if isinstance(kind, Switch):
        names[0] += f"/{kind.off}" if kind.off else ""
        more = {"is_flag": True}
    elif isinstance(kind, Choice):
        more["type"] = click.Choice(kind.choices)
    elif isinstance(kind, File):
        more["type"] = click.Path()
    elif isinstance(kind, Whole | Number):
        more["type"] = click.INT if isinstance(kind, Whole) else click.FLOAT
    if one.metavar == "RULES":
        more["shell_complete"] = complete_rules
    # The default is shown, not set: what the command line does not say, the configuration file may.
    shown = "" if one.default is None or isinstance(kind, Switch) or kind.many else kind.write(one.default).strip('"')
    text = one.help + (f"  [default: {shown}]" if shown else "")
    return click.Option(names, default=None, help=text, **more)
