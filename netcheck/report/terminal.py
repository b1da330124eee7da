"""What a terminal does to text: colours, widths, control characters and encodings.

Names, messages and source lines come from the user's code, so they may hold anything: an escape sequence that
clears the screen, a right-to-left override that turns a line around, a letter two columns wide. Nothing goes
out unescaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "gutter": "1;34",
    "label": "1;36",
    "heading": "1",
    "good": "1;32",
    "faint": "2",
}

# Signs that netcheck's own sentences use, for streams that cannot write them: "−5.0" must not become "?5.0".
PLAIN = str.maketrans(
    {
        "−": "-",
        "×": "x",
        "·": "*",
        "√": "sqrt ",
        "±": "+-",
        "≤": "<=",
        "≥": ">=",
        "≈": "~",
        "…": "...",
        "–": "-",
    }
)


@dataclass(frozen=True, slots=True)
class Painter:
    """Wraps text in ANSI colours, or leaves it alone."""

    colour: bool

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.colour and text else text


def escape(character: str) -> str:
    r"""`character` as a terminal may be given it: a line feed as "\n" in letters, most others as they are."""
    # Cc, Cf, Cs, Zl, Zp: controls, bidirectional overrides, lone surrogates, line separators.
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character != "\u200d"
    if hidden or is_noncharacter(ord(character)):
        return character.encode("unicode_escape").decode("ascii")
    return character


def is_noncharacter(code: int) -> bool:
    """Whether Unicode will never assign a character to `code`: XML and HTML do not take it."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def printable(text: str) -> str:
    """`text` on one line with everything escaped that would move the cursor or hide what follows."""
    return text if text.isascii() and text.isprintable() else "".join(map(escape, text))


def printable_text(text: str) -> str:
    """`text` with its lines as they are, and everything escaped that no reader can show."""
    return "\n".join(map(printable, text.split("\n")))


def width(text: str) -> int:
    """How many columns `text` takes: East Asian wide letters and emoji take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(character_width(character) for character in text)


def character_width(character: str) -> int:
    """Columns that one character takes: 0, 1 or 2."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def shorten(text: str, limit: int = 100) -> str:
    """`text`, with its middle left out where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    kept = limit - 3
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"


def encodable(text: str, encoding: str | None) -> str:
    """`text` for a stream of `encoding`: where that lacks a sign, ours are spelled in ASCII throughout."""
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(PLAIN)
    except LookupError:  # an encoding that Python does not know: the stream has its own way
        return text
    return text


def wants_colour(stream: TextIO, asked: bool | None, environment: Mapping[str, str]) -> bool:
    """Whether to colour what goes to `stream`: as asked, as NO_COLOR or FORCE_COLOR say, or on a terminal."""
    if asked is not None:
        return asked
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"
