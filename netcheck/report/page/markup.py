"""The Markdown that rule documentation is written in, as HTML: headings, paragraphs, lists, code, emphasis.

Not Markdown at large: the texts are netcheck's own. Everything is escaped first, so that none of it can become a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

FENCE = re.compile(r"^```\w*$")
ITEM = re.compile(r"^- ")
HEADING = re.compile(r"^(#{1,4}) (.+)$")
CODE = re.compile(r"`([^`]+)`")
EMPHASIS = re.compile(r"(?<![\w*])(\*\*?)(?=\S)([^*]+?)(?<=\S)\1(?![\w*])")


def to_html(text: str, *, heading: int = 4) -> str:
    """A documentation as HTML; its headings become `<h4>`, or whatever level fits the page."""
    return "\n".join(blocks(text.splitlines(), heading))


def blocks(lines: list[str], heading: int) -> Iterator[str]:
    """Each block of the text as an element."""
    index = 0
    while index < len(lines):
        line = lines[index]
        end = index + 1
        if not line.strip():
            pass
        elif FENCE.match(line):
            while end < len(lines) and not FENCE.match(lines[end]):
                end += 1
            yield f"<pre><code>{escape(chr(10).join(lines[index + 1 : end]))}</code></pre>"
            end += 1
        elif found := HEADING.match(line):
            yield f"<h{heading}>{inline(found[2])}</h{heading}>"
        elif ITEM.match(line):
            while end < len(lines) and lines[end].strip() and not HEADING.match(lines[end]):
                end += 1
            yield f"<ul>{''.join(items(lines[index:end]))}</ul>"
        else:
            while end < len(lines) and lines[end].strip() and not starts_a_block(lines[end]):
                end += 1
            yield f"<p>{inline(' '.join(one.strip() for one in lines[index:end]))}</p>"
        index = end


def starts_a_block(line: str) -> bool:
    """Whether a paragraph ends before this line."""
    return bool(FENCE.match(line) or HEADING.match(line) or ITEM.match(line))


def items(lines: list[str]) -> Iterator[str]:
    """The entries of a list; a line without a hyphen goes on with the entry before."""
    found: list[str] = []
    for line in lines:
        if ITEM.match(line):
            found.append(line[2:].strip())
        else:
            found[-1] += f" {line.strip()}"
    return (f"<li>{inline(one)}</li>" for one in found)


def inline(text: str) -> str:
    """Code and emphasis within a line; what stands in code is left alone."""
    parts = CODE.split(escape(text))  # text and code by turns
    return "".join(f"<code>{part}</code>" if index % 2 else emphasized(part) for index, part in enumerate(parts))


def emphasized(text: str) -> str:
    """`*so*` and `**so**`."""
    tags = {"*": "em", "**": "strong"}
    return EMPHASIS.sub(lambda m: f"<{tags[m[1]]}>{m[2]}</{tags[m[1]]}>", text)
