"""Which names a file uses."""

from __future__ import annotations

import json
from pathlib import Path

from netcheck.source.vocabulary import LOGARITHM, names_used


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


def test_the_logarithm_of_a_value_is_told_from_a_log_of_events(tmp_path: Path) -> None:
    for number, (text, is_one) in enumerate(
        {"p.log()": True, "torch.log(p)": True, "logger.log(p)": False, "math.log(2)": False}.items()
    ):
        file = tmp_path / f"loss_{number}.py"
        file.write_text(text)
        assert (LOGARITHM in names_used(str(file))) is is_one, text


def test_cells_of_a_notebook_count(tmp_path: Path) -> None:
    file = tmp_path / "study.ipynb"
    cell = {"cell_type": "code", "source": ["%matplotlib inline\n", "loss = F.nll_loss(y, t)"]}
    file.write_text(json.dumps({"cells": [cell], "metadata": {"x": None}}))
    assert {"nll_loss", "loss"} <= names_used(str(file))
