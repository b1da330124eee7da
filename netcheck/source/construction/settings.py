"""Configuration files of a project as plain data. Imports no torch.

    configs/vae.yaml     {"model_params": {"name": "BetaVAE", "latent_dim": 128}}

YAML is read by PyYAML where that is installed; else by what is here, which knows maps, lists and scalars: nearly all that
configurations are made of. What it does not know makes the whole file unknown, never a wrong value.

    seq_len: ${data.seq_length}     what the same file has there, as OmegaConf reads it; no item where it has nothing there
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from functools import lru_cache
from typing import Any

from netcheck.source.parse import Unreadable, read

PLAIN_NUMBER = re.compile(r"[-+]?(\d[\d_]*)?\.?\d+([eE][-+]?\d+)?|[-+]?\d[\d_]*\.([eE][-+]?\d+)?")
REFERENCE = re.compile(r"\$\{([^${}:]+)\}")
DEEPEST = 8  # references that lead to each other
WORDS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "null": None, "~": None, "": None}


@lru_cache(maxsize=1024)
def settings_in(file: str) -> Any:
    """What a configuration file holds; None where it cannot be read."""
    try:
        text = read(file).decode("utf-8-sig")
        if file.endswith(".json"):
            return json.loads(text)
        if file.endswith(".toml"):
            return tomllib.loads(text)
        found = yaml(text)
        return with_references(found, found, DEEPEST)
    except (Unreadable, ValueError, RecursionError):
        return None


def with_references(value: Any, root: Any, depth: int) -> Any:
    """Data with what its references lead to; one that leads nowhere is no item of a map."""
    if isinstance(value, dict):
        known = {key: with_references(one, root, depth) for key, one in value.items()}
        return {key: one for key, one in known.items() if not (isinstance(one, str) and REFERENCE.fullmatch(one))}
    if isinstance(value, list):
        return [with_references(one, root, depth) for one in value]
    reference = REFERENCE.fullmatch(value) if isinstance(value, str) and depth else None
    if reference is None:
        return value
    found = root
    for name in reference[1].split("."):
        if not isinstance(found, dict) or name not in found:
            return value
        found = found[name]
    return with_references(found, root, depth - 1)


def yaml(text: str) -> Any:
    """A YAML document as plain data.

    Raises:
        ValueError: it is none, or uses what is not known here.
    """
    if importlib.util.find_spec("yaml") is None:
        return Lines(text).document()
    import yaml as library  # type: ignore[import-untyped]

    try:
        return library.safe_load(text)
    except library.YAMLError as error:
        raise ValueError(str(error)) from error


class Lines:
    """Reads the part of YAML that configurations use: block maps and lists, flow lists and maps, scalars."""

    def __init__(self, text: str) -> None:
        lines = [without_comment(line).rstrip() for line in text.splitlines()]
        self.lines = [line for line in lines if line.strip() and line.strip() != "---"]
        if any("\t" in line[: len(line) - len(line.lstrip())] for line in self.lines):
            raise ValueError("tabs")
        self.at = 0

    def document(self) -> Any:
        """The whole text."""
        value = self.block(0) if self.lines else None
        if self.at < len(self.lines):
            raise ValueError("indentation")
        return value

    def indent(self) -> int:
        """How far the next line is indented; -1 at the end."""
        return len(self.lines[self.at]) - len(self.lines[self.at].lstrip()) if self.at < len(self.lines) else -1

    def block(self, least: int) -> Any:
        """A map, a list or a scalar that is indented at least so far."""
        indent = self.indent()
        if indent < least:
            return None
        if self.lines[self.at].lstrip().startswith(("- ", "-\n")) or self.lines[self.at].strip() == "-":
            return self.sequence(indent)
        if key_and_rest(self.lines[self.at].strip()) is None:
            self.at += 1
            return scalar(self.lines[self.at - 1].strip())
        return self.mapping(indent)

    def mapping(self, indent: int) -> dict[Any, Any]:
        """The keys at one indentation."""
        found: dict[Any, Any] = {}
        while self.indent() == indent and not self.lines[self.at].lstrip().startswith("- "):
            split = key_and_rest(self.lines[self.at].strip())
            if split is None:
                raise ValueError("a key is missing")
            key, rest = split
            self.at += 1
            if rest:
                found[scalar(key)] = self.flow(rest)
            else:
                is_list = self.indent() == indent and self.lines[self.at].lstrip().startswith("-")
                found[scalar(key)] = self.block(indent if is_list else indent + 1)
        if self.indent() > indent:
            raise ValueError("indentation")
        return found

    def sequence(self, indent: int) -> list[Any]:
        """The items at one indentation."""
        found = []
        while self.indent() == indent and self.lines[self.at].lstrip().startswith("-"):
            rest = self.lines[self.at].lstrip()[1:]
            inner = rest.strip()
            if not inner:
                self.at += 1
                found.append(self.block(indent + 1))
            elif key_and_rest(inner) is None:
                self.at += 1
                found.append(self.flow(inner))
            else:
                offset = indent + 1 + len(rest) - len(rest.lstrip())
                self.lines[self.at] = " " * offset + inner
                found.append(self.block(offset))
        return found

    def flow(self, text: str) -> Any:
        """A scalar, or a list or map in brackets, which may go on in the next lines."""
        if text[0] in "|>&*!":
            raise ValueError("not known here")
        while text[0] in "[{" and not balanced(text):
            if self.at >= len(self.lines):
                raise ValueError("a bracket is open")
            text += " " + self.lines[self.at].strip()
            self.at += 1
        return scalar(text)


def without_comment(line: str) -> str:
    """A line without what follows a # that stands in no quotes."""
    quote = ""
    for number, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "#" and (number == 0 or line[number - 1].isspace()):
            return line[:number]
    return line


def key_and_rest(text: str) -> tuple[str, str] | None:
    """`key: rest` as both; None where it is no key."""
    match = re.match(r"(\"[^\"]*\"|'[^']*'|[^\s\[\]{}\"'#,][^:#\[\]{}]*?)\s*:(?:\s+(.*))?$", text)
    return (match[1], (match[2] or "").strip()) if match else None


def balanced(text: str) -> bool:
    """Whether all brackets of a text are closed."""
    return text.count("[") == text.count("]") and text.count("{") == text.count("}")


def scalar(text: str) -> Any:
    """What a text without line breaks stands for."""
    text = text.strip()
    if text[:1] in ("[", "{"):
        if text[-1] != {"[": "]", "{": "}"}[text[0]]:
            raise ValueError("a bracket is open")
        items = split_items(text[1:-1])
        if text[0] == "[":
            return [scalar(item) for item in items]
        pairs = [key_and_rest(item) for item in items]
        if None in pairs:
            raise ValueError("a key is missing")
        return {scalar(pair[0]): scalar(pair[1]) for pair in pairs if pair}
    if text[:1] in "\"'" and text[:1] == text[-1:] and len(text) > 1:
        return ast.literal_eval(text) if text[0] == '"' else text[1:-1].replace("''", "'")
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if PLAIN_NUMBER.fullmatch(text):
        plain = text.replace("_", "")
        return float(plain) if re.search(r"[.eE]", plain) else int(plain)
    return text


def split_items(text: str) -> list[str]:
    """What stands between the commas outside of brackets and quotes."""
    items, depth, quote, start = [], 0, "", 0
    for number, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "[]{}":
            depth += 1 if sign in "[{" else -1
        elif sign == "," and depth == 0:
            items.append(text[start:number])
            start = number + 1
    return [item.strip() for item in (*items, text[start:]) if item.strip()]
