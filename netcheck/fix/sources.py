"""The files that may be edited, as they are after the edits so far."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping, Sequence

from netcheck.figures.fixes import Edit
from netcheck.fix.code import ByHand, Code
from netcheck.load.raised import is_installed
from netcheck.source.edits import apart, applied, line_and_column, line_starts, offset, put_back, spliced
from netcheck.source.notebook import NotANotebook, to_python
from netcheck.source.overlay import Texts, laid_over
from netcheck.source.parse import NOTEBOOK, Unreadable, limit_of, parse, read


class Sources:
    """The files of a run.

    Args:
        files: those that are checked, the only ones that are ever edited.
        texts: what stands in the place of some of them, by real path.
    """

    def __init__(self, files: Iterable[str], texts: Mapping[str, bytes] | None = None) -> None:
        self.files = frozenset(map(os.path.realpath, files))
        self.texts = dict(texts or {})
        self.known: dict[str, Code] = {}
        self.disk: dict[str, bytes] = {}  # what was read of files

    def code(self, file: str) -> Code:
        """The concrete syntax of a file.

        Raises:
            ByHand: it is none of those that are checked, is installed, or LibCST cannot read it.
        """
        path = os.path.realpath(file)
        if is_installed(path):
            raise ByHand(f"{os.path.basename(file)} is an installed package's")
        if path not in self.files:
            raise ByHand(f"{os.path.basename(file)} is not among the files that are checked")
        if path not in self.known:
            try:
                raw = self.content(path)
                python = to_python(raw).encode("utf-8", "surrogatepass") if path.endswith(NOTEBOOK) else raw
            except (Unreadable, NotANotebook) as error:
                raise ByHand(f"{os.path.basename(file)} {error}") from error
            self.known[path] = Code(path, python)
        return self.known[path]

    def content(self, path: str) -> bytes:
        """The bytes of a file as it is after the edits so far."""
        if path in self.texts:
            return self.texts[path]
        if path not in self.disk:
            self.disk[path] = read(path, limit_of(path))
        return self.disk[path]

    def tree(self, file: str) -> ast.Module:
        """The statements of a file as it is after the edits so far."""
        with laid_over(self.overlay):
            return parse(file).tree

    def edited(self, edits: Sequence[Edit]) -> Sources:
        """The files after some more edits.

        Raises:
            NotEditable: a file does not take them.
        """
        by_file: dict[str, list[Edit]] = {}
        for edit in edits:
            by_file.setdefault(edit.file, []).append(edit)
        changed = {file: applied(self.content(file), file, group) for file, group in by_file.items()}
        after = Sources(self.files, self.texts | changed)
        after.disk = self.disk
        return after

    @property
    def originals(self) -> Texts:
        """What those files held that are to hold something else."""
        return tuple(sorted((path, self.disk[path]) for path in self.texts))

    def before(self, edit: Edit, edits: Sequence[Edit]) -> Edit | None:
        """What an edit of the files after some others would have been before these; None where it is in what they put in.

        Args:
            edit: of a file after the others.
            edits: the others, of these files.
        """
        text, later = self.code(edit.file).text, [one for one in edits if one.file == edit.file]
        after = line_starts(spliced(text, apart(later)))
        starts = line_starts(text)
        places = [
            put_back(offset(after, line, column), later, starts)
            for line, column in ((edit.line, edit.column), (edit.end_line, edit.end_column))
        ]
        if places[0] is None or places[1] is None:
            return None
        (line, column), (end_line, end_column) = (line_and_column(starts, place) for place in places if place is not None)
        return Edit(edit.file, line, column, end_line, end_column, edit.content)

    @property
    def overlay(self) -> Texts:
        """What is to stand in the place of files."""
        return tuple(sorted(self.texts.items()))
