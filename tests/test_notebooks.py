"""Notebooks as people write them: where things stand, what is run, and comments in cells, whatever the layout of the JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from netcheck.cli import cli

NET = """WIDTH = 64

class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.first = nn.Linear(32, width)  # “é” 🙂
        self.second = nn.Linear(width, 10)

    def forward(self, x):
        return self.second(self.first(x))
"""
TRAINING = """open('trained', 'w').close()
for x, y in [(torch.zeros(2, 32), 0)] * 3:
    optimizer.zero_grad()
    model(x).sum().backward()
    optimizer.step()"""
SMALL = """class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 3)

    def forward(self, x):
        return self.net(x)"""
COLAB = [
    ("markdown", "# Digits\nA net for digits."),
    (
        "code",
        "from google.colab import drive\ndrive.mount('/content/drive')\n!pip install -q einops \\\n  timm\n%cd /content/drive",
    ),
    ("code", "import torch\nfrom torch import nn\nimport asyncio\nimport wandb\n\nwandb.init(project='digits')\nnn.Linear?"),
    ("code", "data = torch.load('digits.pt')\nloader = torch.utils.data.DataLoader(data, 32)\nfiles = !ls data"),
    ("raw", "class Net: no code"),
    ("code", NET),
    ("code", "%%time\nmodel = Net()\n%time model = model.to('cpu')\noptimizer = torch.optim.Adam(model.parameters())"),
    ("code", TRAINING),
    ("code", "await asyncio.sleep(3600)\nmodel.eval()\ntorch.save(model, 'net.pt')"),
    ("code", "%%bash\nfor f in *; do echo $f; done"),
    ("code", "cd My\\ Drive"),
    ("code", "ls"),
]
Cells = list[tuple[str, str]]


def notebook(cells: Cells, *, as_one_string: bool = False, **layout: Any) -> str:
    """A notebook, written as `json.dumps` with these options does."""

    def cell(number: int, kind: str, source: str) -> dict[str, Any]:
        made: dict[str, Any] = {"cell_type": kind, "metadata": {"id": str(number)}}
        if kind == "code":
            made |= {"execution_count": number, "outputs": [{"output_type": "stream", "text": ['"source": [\n', "class Net:\n"]}]}
        return {**made, "source": source if as_one_string else source.splitlines(keepends=True)}

    metadata = {"accelerator": "GPU", "colab": {}, "kernelspec": {"name": "python3"}, "language_info": {"name": "python"}}
    content = {"cells": [cell(n, *one) for n, one in enumerate(cells)], "metadata": metadata, "nbformat": 4, "nbformat_minor": 0}
    return json.dumps(content, **layout) + "\n"


LAYOUTS: dict[str, dict[str, Any]] = {
    "jupyter": {"indent": 1, "ensure_ascii": False},
    "colab": {"indent": 2},
    "one line": {},
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "a string a cell": {"indent": 1, "as_one_string": True},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_children: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> Path:
    file = Path("study.ipynb")
    file.write_bytes(text.encode())
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", "study.ipynb", *arguments, "--isolated", "--no-probe", "--no-cache"])


def pointed_at(file: Path, line: int, column: int, end_line: int | None, end_column: int | None) -> str:
    """What of the file's own text a place means."""
    assert end_line == line
    assert end_column is not None
    return file.read_text("utf-8").split("\n")[line - 1][column - 1 : end_column - 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_places_are_cells_and_programs_get_lines_of_the_file(layout: str, folder: Path) -> None:
    file = write(notebook(COLAB, **LAYOUTS[layout]))
    shown = run().stdout
    assert " --> study.ipynb, cell 6, line 6\n" in shown
    assert "6 |         self.first = nn.Linear(32, width)  # “é” 🙂\n  |                      ^^^^^^^^^^^^^^^^^^^^\n" in shown
    assert "study.ipynb, cell 6, line 10  return self.second(self.first(x))" in shown
    assert run("--format", "concise").stdout.startswith("study.ipynb, cell 6, line 6: NC103 warning")
    assert "nn.Linear(32, width)" in run("--format", "html").stdout
    assert "`study.ipynb, cell 6, line 6`" in run("--format", "markdown").stdout
    (model,) = json.loads(run("--format", "json").stdout)["models"]
    place = model["findings"][0]["locations"][0]
    assert (place["file"].rpartition("/")[2], place["cell"], place["cell_line"]) == ("study.ipynb", 6, 6)
    (result,) = json.loads(run("--format", "sarif").stdout)["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    ends = (region["startLine"], region["startColumn"], region["endLine"], region["endColumn"])
    assert pointed_at(file, *ends) == "nn.Linear(32, width)"
    if layout in ("jupyter", "colab"):
        assert place["line"] == ends[0]
    assert f"::warning file=study.ipynb,line={ends[0]},col={ends[1]}," in run("--format", "github").stdout


def test_cells_that_train_and_what_only_a_notebook_understands_are_left_out(folder: Path) -> None:
    write(notebook(COLAB, indent=1))
    (model,) = json.loads(run("--format", "json").stdout)["models"]
    assert (model["target"], [found["code"] for found in model["findings"]]) == ("study.ipynb:model", ["NC103"])
    assert not Path("trained").exists()
    assert not Path("net.pt").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_comment_is_written_into_the_cell_and_every_other_byte_stays(layout: str, folder: Path) -> None:
    text = notebook(COLAB, **LAYOUTS[layout])
    file = write(text)
    assert run("--add-ignores").stdout == "Added comments for 1 of 1 finding.\n"
    after = file.read_bytes().decode()
    comment = "  # netcheck: ignore[NC103]"
    assert after.count(comment) == 1
    assert after.replace(comment, "") == text
    line = next(line for line in "".join(json.loads(after)["cells"][5]["source"]).split("\n") if comment in line)
    assert line == f"        self.first = nn.Linear(32, width)  # “é” 🙂{comment}"
    again = run()
    assert again.exit_code == 0
    assert "Suppressed 1 finding by comments in the source." in again.stdout


def test_a_comment_that_is_there_gets_the_rule(folder: Path) -> None:
    cells = [(kind, source.replace("# “é” 🙂", "# netcheck: ignore[NC1xx]")) for kind, source in COLAB]
    file = write(notebook(cells, indent=2).replace("\n", "\r\n"))
    run("--add-ignores")
    assert b'# netcheck: ignore[NC1xx, NC103]\\n",\r\n' in file.read_bytes()


def test_a_comment_that_suppresses_nothing_is_named_by_its_cell(folder: Path) -> None:
    cells = [
        (kind, source.replace("super().__init__()", "super().__init__()  # netcheck: ignore[NC201]")) for kind, source in COLAB
    ]
    write(notebook(cells, indent=1))
    assert "NC009" in (shown := run().stdout)
    assert "study.ipynb, cell 6, line 5\n" in shown


def test_an_error_of_syntax_is_named_by_its_cell(folder: Path) -> None:
    write(notebook([("markdown", "# Title"), ("code", "from torch import nn\nclass Net(nn.Module:\n    pass")], indent=1))
    done = run()
    assert done.exit_code == 2
    assert " --> study.ipynb, cell 2, line 2\n" in done.stdout
    assert "2 | class Net(nn.Module:\n" in done.stdout


def test_a_net_that_is_built_after_the_training_of_another_is_found(folder: Path) -> None:
    cells = [
        ("code", "import torch\nfrom torch import nn\n" + NET),
        ("code", "def fit(model, steps):\n    for _ in range(steps):\n        model(torch.zeros(2, 32)).sum().backward()\n"),
        ("code", "first = Net()\nfit(first, 10**9)\nhistory = fit(first, 10**9)"),
        ("code", SMALL),
        ("code", "second = Small()\nfit(second, 10**9)"),
    ]
    write(notebook(cells, indent=1))
    targets = [model["target"] for model in json.loads(run("--format", "json").stdout)["models"]]
    assert targets == ["study.ipynb:first", "study.ipynb:second"]


def test_what_a_condition_chooses_by_a_file_that_is_not_there_is_the_first_branch(folder: Path) -> None:
    cells = [
        ("code", "import json\nfrom torch import nn"),
        ("code", "with open('run.json') as file:\n    config = json.load(file)"),
        ("code", "if config['wide']:\n    net = nn.Linear(64, 4)\nelse:\n    net = nn.Linear(8, 4)"),
        ("code", "net.eval()"),
    ]
    write(notebook(cells))
    said = run().stdout
    assert "64 input features" in said
    assert "cell 3, line 1 (needs config, which was left out)" in said


def test_pictures_in_the_output_do_not_count_as_code(folder: Path) -> None:
    content = json.loads(notebook(COLAB))
    content["cells"][1]["outputs"] = [{"output_type": "display_data", "data": {"image/png": "A" * 3 * 2**20}}]
    write(json.dumps(content, indent=1))
    assert "cell 6, line 6" in run().stdout


def test_what_hangs_on_a_missing_package_is_told_as_that(folder: Path) -> None:
    cells = [
        ("code", "from torch import nn\nimport fancy_text"),
        ("code", "vocab = fancy_text.build()\nsize = len(vocab)\nsize = size + 1\nentries = size"),
        ("code", "width = entries // 2\nmodel = nn.Linear(entries, width)"),
    ]
    write(notebook(cells, indent=1))
    (model,) = json.loads(run("--format", "json").stdout)["models"]
    (found,) = model["findings"]
    assert model["unchecked"] == "missing-package"
    assert "cell 3, line 2, which would make it, was left out (needs entries, which was left out; in the end," in found["message"]
    assert "cell 2, line 2 raised NotInstalled" in found["message"]
    assert found["help"] == "install fancy_text in the environment that netcheck runs in"
    shown = run().stdout
    assert "not installed: fancy_text; a stand-in" in shown
    assert "left out: cell 2, line 2 (raised NotInstalled" in shown
