"""Which names a file uses."""

from __future__ import annotations

from pathlib import Path

from netcheck.source.vocabulary import names_used


def test_identifiers_count_and_comments_and_strings_do_not(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text('"""uses cross_entropy"""\nfrom torch.nn import NLLLoss as A  # kl_div\nx = F.nll_loss("mse_loss")\n')
    names = names_used(str(file))
    assert {"NLLLoss", "F", "nll_loss", "x"} <= names
    assert not names & {"cross_entropy", "kl_div", "mse_loss"}


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("a = 1\n")
    assert names_used(str(file)) == {"a"}
    file.write_text("bc = 1\n")
    assert names_used(str(file)) == {"bc"}


def test_what_cannot_be_read_uses_no_names(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def (:\n")
    assert names_used(str(broken)) == names_used(str(tmp_path / "missing.py")) == frozenset()
