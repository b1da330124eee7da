"""The same findings on every torch? Writes what netcheck finds in the lecture's models, in the rules' own examples and in the
Python files of other folders; then compares what was written on several torches, for a look before each release:

    python -m tests.same_findings write FILE.json [FOLDER ...]      # once for each environment
    python -m tests.same_findings compare FILE.json FILE.json ...   # prints a table and each difference
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Found = dict[str, list[str]]  # model -> its findings: code, severity, line
ROOT = Path(__file__).parent.parent


def in_folder(folder: Path) -> Found:
    """What the command line finds in the files of a folder, each in a run of its own; nothing of the user's settings counts."""
    found: Found = {}
    for path in sorted(folder.rglob("*.py")):
        command = [sys.executable, "-m", "netcheck", "--format", "json", "--no-cache", "--device", "cpu", path.name]
        ended = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
        document = json.loads(ended.stdout or '{"models": []}')
        assert "Traceback" not in ended.stderr, ended.stderr
        name = f"{folder.name}/{path.relative_to(folder)}"
        findings = [finding for model in document["models"] for finding in shown(model["findings"])]
        found[name] = [f"exit code {ended.returncode}", *findings]
    return found


def shown(findings: list[Any]) -> list[str]:
    return sorted(f"{each['code']} {each['severity']} {[place['line'] for place in each['locations']]}" for each in findings)


def in_examples() -> Found:
    """What all rules together find in each rule's examples."""
    from netcheck.report.json import document
    from netcheck.rules.base import Notice, TrainingRule, registry
    from tests.test_rules import check_example, examples

    found: Found = {}
    with tempfile.TemporaryDirectory() as folder:
        for rule in registry():
            if isinstance(rule, Notice | TrainingRule):
                continue
            for number, (flagged, example) in enumerate(examples(rule)):
                name = f"{rule.code}/{'bad' if flagged else 'good'} {number} {example.title}"
                own = Path(folder, f"{rule.code}-{number}-{flagged}")  # lines of a file that was read stay in caches
                own.mkdir()
                report = check_example(example, own)
                found[name] = shown(document([report])["models"][0]["findings"])
    return found


def write(file: str, *folders: str) -> None:
    import torch

    groups = {"lecture": in_folder(ROOT / "examples" / "lecture"), "rules": in_examples()}
    groups |= {Path(folder).name: in_folder(Path(folder)) for folder in folders}
    Path(file).write_text(json.dumps({"torch": torch.__version__, "groups": groups}, indent=1))


def compare(*files: str) -> None:
    """A row for each group, a column for each torch: how many models are told the same as on the first one."""
    documents = [json.loads(Path(file).read_text()) for file in files]
    first = documents[0]
    print("group", *(each["torch"] for each in documents), sep=" | ")
    for group, models in first["groups"].items():
        same = [sum(each["groups"][group].get(model) == models[model] for model in models) for each in documents]
        print(group, *(f"{number} of {len(models)}" for number in same), sep=" | ")
    for document in documents[1:]:
        for group, models in first["groups"].items():
            for model, findings in models.items():
                if (other := document["groups"][group].get(model)) != findings:
                    print(f"{document['torch']}: {model}: {other} instead of {findings}")


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](*sys.argv[2:])
