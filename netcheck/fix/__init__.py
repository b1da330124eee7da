"""Edits that mend findings, tried before they are offered: `--diff`, `--fix`, `--unsafe-fixes`. Needs LibCST (extra `fix`).

    reports --editors--> proposals --prover--> texts, and reports on the models as they are then       (offered)
      ^                                              |
      +------------- until none is left -------------+

    fix/editor.py, fix/edits/    from a finding to an edit: one file a kind of edit
    fix/code.py, fix/syntax.py   concrete syntax: places, nodes, and the edits that replace them
    fix/proposals.py             the edits for all findings, of which some want to write at one place
    fix/proof.py                 the edited models checked, in child processes
    fix/offering.py              which of the edits hold
    fix/writing.py               the files: diffs, and what is written

An editor never writes: what is written are the texts that were proven, at once for each file.
"""

from netcheck.errors import UsageError


def require() -> None:
    """Refuse to go on without LibCST.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import libcst  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--diff and --fix need LibCST", help="pip install 'libcst>=1.5', which the extra `fix` asks for"
        ) from error
