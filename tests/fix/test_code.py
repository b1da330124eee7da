"""Concrete syntax: arguments are put in as the others are laid out, and names of torch as the file has imported them."""

from __future__ import annotations

import libcst as cst
import pytest

from netcheck.fix.classes import in_torch
from netcheck.fix.code import ByHand, Code
from netcheck.fix.syntax import with_argument
from netcheck.source.edits import applied


def changed(text: str, position: int | None = None) -> str:
    code = Code("net.py", text.encode())
    call = next(code.every(cst.Call))
    return applied(text.encode(), "net.py", [code.replaced(call, with_argument(call, "bias", "False", position))]).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f()\n", "f(bias=False)\n"),
        ("f(1, 2)  # c\n", "f(1, 2, bias=False)  # c\n"),
        ("f(1,2)\n", "f(1,2,bias=False)\n"),
        ("f(1, bias=True)\n", "f(1, bias=False)\n"),
        ("f(1, bias = True)\n", "f(1, bias = False)\n"),
        ("x = [f(\n    1,  # one\n    2,\n)]\n", "x = [f(\n    1,  # one\n    2,\n    bias=False,\n)]\n"),
        ("if x:\n  y = f(1,\n        2)\n", "if x:\n  y = f(1,\n        2,\n        bias=False)\n"),
        ("f(\r\n\t1,\r\n\t2\r\n)\r\n", "f(\r\n\t1,\r\n\t2,\r\n\tbias=False\r\n)\r\n"),
        ("f(1,)\n", "f(1, bias=False,)\n"),
        ("(f)(1)\n", "(f)(1, bias=False)\n"),
        ("x = 1\ny = f(1)", "x = 1\ny = f(1, bias=False)"),
        (
            "class A:\r\n  def g(self):\r\n    return f(1) # \u00e9",
            "class A:\r\n  def g(self):\r\n    return f(1, bias=False) # \u00e9",
        ),
    ],
)
def test_an_argument_is_laid_out_as_the_others(before: str, after: str) -> None:
    assert changed(before) == after


def test_an_argument_by_its_place() -> None:
    assert changed("f(1, 2, True)\n", 2) == "f(1, 2, False)\n"


def test_a_call_that_spreads_its_arguments_is_left_alone() -> None:
    with pytest.raises(ByHand, match="spreads"):
        changed("f(*args, **more)\n")


@pytest.mark.parametrize(
    ("imports", "name"),
    [
        ("from torch import nn", "nn.ModuleList"),
        ("import torch.nn as N", "N.ModuleList"),
        ("import torch", "torch.nn.ModuleList"),
        ("import torch.nn", "torch.nn.ModuleList"),
        ("from torch.nn import *", "ModuleList"),
        ("from torch.nn import ModuleList as ML, Linear", "ML"),
    ],
)
def test_torch_is_called_as_the_file_has_imported_it(imports: str, name: str) -> None:
    assert in_torch(Code("net.py", f"{imports}\n".encode()), "nn.ModuleList") == (name, [])


def test_a_name_is_imported_beside_others_of_its_module() -> None:
    text = b"from torch.nn import Linear, ReLU  # layers\n"
    name, edits = in_torch(Code("net.py", text), "nn.ModuleList")
    assert name == "ModuleList"
    assert applied(text, "net.py", edits) == b"from torch.nn import Linear, ReLU, ModuleList  # layers\n"


def test_what_is_not_imported_at_all_is_not_guessed() -> None:
    with pytest.raises(ByHand, match=r"does not import torch\.nn"):
        in_torch(Code("net.py", b"import numpy\n"), "nn.ModuleList")
