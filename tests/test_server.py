"""The language server, asked over its standard input and output as an editor does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.readme import ROOT
from tests.test_watch import FAULTY, SOUND

pytest.importorskip("pygls")


class Editor:
    """A client of its own: messages with a length in front."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.number = 0

    def send(self, method: str, params: Any, *, wants_answer: bool = False) -> Any:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if wants_answer:
            self.number += 1
            message["id"] = self.number
        data = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self.process.stdin.flush()
        return self.wait(lambda one: one.get("id") == self.number) if wants_answer else None

    def wait(self, wanted: Any) -> Any:
        while True:
            assert self.process.stdout is not None
            length = 0
            while (line := self.process.stdout.readline()) != b"\r\n":
                assert line, "the server ended"
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            message = json.loads(self.process.stdout.read(length))
            if wanted(message):
                return message

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        name = "textDocument/publishDiagnostics"
        return self.wait(lambda one: one.get("method") == name and one["params"]["uri"] == uri)["params"]["diagnostics"]


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NETCHECK_CACHE": "no"}
    command = [sys.executable, "-m", "netcheck", "server"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        made = Editor(process)
        answer = made.send("initialize", {"processId": None, "rootUri": tmp_path.as_uri(), "capabilities": {}}, wants_answer=True)
        assert answer["result"]["serverInfo"]["name"] == "netcheck"
        made.send("initialized", {})
        yield made
        made.send("shutdown", None, wants_answer=True)
        made.send("exit", None)
        assert process.wait(20) == 0


def test_findings_come_and_go_with_saves(editor: Editor, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(FAULTY)
    uri = file.as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": FAULTY}
    editor.send("textDocument/didOpen", {"textDocument": document})
    (found,) = editor.diagnostics(uri)
    assert (found["code"], found["severity"], found["source"]) == ("NC103", 2, "netcheck")
    assert "netcheck rule NC103" in found["message"]
    line = FAULTY.splitlines()[found["range"]["start"]["line"]]
    assert line[found["range"]["start"]["character"] :].startswith("nn.Linear(8, ")
    file.write_text(SOUND)
    editor.send("textDocument/didSave", {"textDocument": {"uri": uri}})
    assert [one for one in editor.diagnostics(uri) if one["severity"] < 3] == []
    file.write_text("import torch\n1 +\n")
    editor.send("textDocument/didSave", {"textDocument": {"uri": uri}})
    (broken,) = editor.diagnostics(uri)
    assert (broken["code"], broken["severity"]) == ("NC001", 1)
    editor.send("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert editor.diagnostics(uri) == []
