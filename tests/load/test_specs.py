"""The grammar of --input, read without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netcheck.errors import InputError
from netcheck.load.specs import Spec, parse_spec

READ = {
    "2x3x224x224": Spec(shape=(2, 3, 224, 224)),
    "2,8": Spec(shape=(2, 8)),
    "(2, 8)": Spec(shape=(2, 8)),
    "[2,3,4]": Spec(shape=(2, 3, 4)),
    "(7,)": Spec(shape=(7,)),
    "2×3": Spec(shape=(2, 3)),
    "ids=long[0,100]:(2, 16)": Spec("ids", "long", (2, 16), 0, 100),
    " 7 ": Spec(shape=(7,)),
    "ids=long:2x16": Spec("ids", "long", (2, 16)),
    "ids=long[0,100]:2x16": Spec("ids", "long", (2, 16), 0, 100),
    "shift=int[-3, 4]:5": Spec("shift", "int", (5,), -3, 4),
    "mask=bool:2x16": Spec("mask", "bool", (2, 16)),
    "half:2x8": Spec("", "half", (2, 8)),
    "x=2x8": Spec("x", shape=(2, 8)),
    "float:2x8": Spec(dtype="float", shape=(2, 8)),
    "t=float:scalar": Spec("t", "float", ()),
    "scalar": Spec(),
    "k=value:3": Spec("k", "value", value=3),
    "value:true": Spec("", "value", value=True),
    "mode=value:fast": Spec("mode", "value", value="fast"),
    "x=value:none": Spec("x", "value", value=None),
    "sizes=value:(2, 3)": Spec("sizes", "value", value=(2, 3)),
}

REFUSED = {
    "": "it is empty",
    "2x": "'2x' is not a shape",
    "2x3y": "'2x3y' is not a shape",
    "2,3x4": "'2,3x4' is not a shape",
    "(2,3": "'(2,3' is not a shape",
    "2,3)": "'2,3)' is not a shape",
    "(2,3]": "'(2,3]' is not a shape",
    "2 3": "'2 3' is not a shape",
    "-1x3": "'-1x3' is not a shape",
    "٢x3": "'٢x3' is not a shape",
    "ids=": "'' is not a shape",
    "ids=long:": "'' is not a shape",
    "=2x3": "'' cannot name an argument",
    "2x=3": "'2x' cannot name an argument",
    "class=2x3": "'class' cannot name an argument",
    "ids=complex:2x3": "'complex' is not one of float",
    "float[0,3]:2": "only long and int take a range, not float",
    "long[3,3]:2": "[3,3] holds no integer",
    "long[a,3]:2": "[a,3] is not a range of integers",
    "0x3": "a size of 0",
    "99999999x99999999": "too large",
    "1" * 5000: "too large",
}


@pytest.mark.parametrize("text", READ)
def test_reads(text: str):
    assert parse_spec(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_in_one_sentence_with_the_right_form(text: str):
    with pytest.raises(InputError) as raised:
        parse_spec(text)
    assert REFUSED[text] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "ids=long:2x16" in raised.value.help


@pytest.mark.parametrize("text", [text for text in READ if "value" not in text])
def test_what_is_written_reads_the_same(text: str):
    assert parse_spec(str(parse_spec(text))) == parse_spec(text)


def test_needs_no_torch():
    program = "import sys, netcheck.load.specs as s; s.parse_spec('2x3'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
