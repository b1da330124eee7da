"""NC107: who returns a softmax, for which loss, in which mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.findings import Finding, Severity, Verdict
from netcheck.rules import base
from netcheck.rules.base import Example
from tests.test_rules import report_on

NET = """
class Net(nn.Module):
    {doc}

    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(16, 10), nn.LayerNorm(10)
        self.activation = nn.Softmax(dim=-1)

    def forward(self, x):
        logits = self.fc(x)
        return {result}

model = Net()
{rest}
"""


def found(folder: Path, result: str, *, doc: str = "", rest: str = "", inputs: str = "8x16") -> list[Finding]:
    """What the rule says of a net that returns `result`, in a file that also holds `rest`."""
    source = NET.format(result=result, doc=f'"""{doc}"""' if doc else "pass", rest=rest)
    return [each for each in report_on(Example("", source, inputs), base.find("NC107"), folder) if each.code == "NC107"]


BAD = [
    "self.activation(logits)",
    "logits.softmax(-1)",
    "torch.log_softmax(logits, 1)",
    "F.softmin(logits, dim=1)",
    "torch.log(F.softmax(logits, dim=1))",
    "self.activation(logits).log()",
    "F.softmax(self.norm(logits), dim=1).squeeze()",
    "(torch.relu(logits), torch.softmax(logits * 2, 1))",
    "F.softmax(logits, dim=1).float().contiguous()",
    "torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)",
    "logits - torch.logsumexp(logits, 1, keepdim=True)",
]
GOOD = [
    "torch.exp(logits) / (1 + torch.exp(logits).sum(1, keepdim=True))",
    "torch.exp(logits) / torch.exp(logits).mean(1, keepdim=True)",
    "logits - logits.mean(1, keepdim=True)",
    "logits",
    "(logits, logits.softmax(-1))",
    "torch.softmax(logits, 1) @ self.fc.weight",
    "torch.softmax(logits, 1).argmax(1)",
    "(torch.softmax(logits, 1) * torch.arange(10.0)).sum(1)",
    "F.gumbel_softmax(logits)",
    "(logits, logits.softmax(1).log())",
    "-(logits.softmax(1) * logits.softmax(1).log()).sum(1)",
    "logits if self.training else logits.softmax(1)",
]


@pytest.mark.parametrize("result", BAD)
def test_a_returned_softmax_is_a_warning(result: str, tmp_path: Path) -> None:
    (finding,) = found(tmp_path, result)
    known = not any(word in result for word in ("log_softmax", "log(", "logsumexp"))  # NLLLoss may be used in another file
    assert finding.severity is (Severity.WARNING if known else Severity.INFO)


@pytest.mark.parametrize("result", GOOD)
def test_what_returns_logits_or_uses_the_weights_is_left_alone(result: str, tmp_path: Path) -> None:
    assert found(tmp_path, result) == []


def test_the_loss_in_the_file_decides(tmp_path: Path) -> None:
    with_nll = "criterion = torch.nn.NLLLoss()"
    assert found(tmp_path, "F.log_softmax(logits, 1)", rest=with_nll) == []
    (finding,) = found(tmp_path, "F.softmax(logits, 1)", rest=with_nll)
    assert finding.severity is Severity.WARNING
    (finding,) = found(tmp_path, "F.softmax(logits, 1)", rest="loss = F.cross_entropy")
    assert finding.verdict is Verdict.CONFIRMED
    assert "this file uses" in finding.message


@pytest.mark.parametrize("width", ["torch.exp(self.fc(x))", "F.softplus(self.fc(x)) + 1e-4", "self.fc(x).exp().view(-1, 10)"])
def test_the_weights_of_a_mixture_density_are_info(width: str, tmp_path: Path) -> None:
    (finding,) = found(tmp_path, f"(torch.softmax(logits, 1), self.fc(x), {width})")
    assert finding.severity is Severity.INFO


@pytest.mark.parametrize("beside", ["F.relu(self.fc(x))", "torch.sigmoid(self.fc(x))", "F.gelu(self.fc(x))"])
def test_another_head_does_not_excuse_a_softmax(beside: str, tmp_path: Path) -> None:
    (finding,) = found(tmp_path, f"(torch.softmax(logits, 1), {beside})")
    assert finding.severity is Severity.WARNING


def test_a_comment_is_no_loss(tmp_path: Path) -> None:
    assert found(tmp_path, "F.log_softmax(logits, 1)", rest="# nll_loss and cross_entropy")


def test_a_model_that_says_that_it_returns_probabilities_is_info(tmp_path: Path) -> None:
    (by_doc,) = found(tmp_path, "logits.softmax(1)", doc="Class probabilities of a digit.")
    (by_name,) = found(tmp_path, '{"probs": logits.softmax(1)}')
    (by_use,) = found(tmp_path, "logits.softmax(1)", rest="draw = torch.distributions.Categorical")
    assert {by_doc.severity, by_name.severity, by_use.severity} == {Severity.INFO}


def test_a_model_given_in_eval_is_judged_as_it_trains(tmp_path: Path) -> None:
    assert found(tmp_path, "logits.softmax(1)", rest="model.eval()")
    only_in_eval = "logits if self.training else logits.softmax(1)"
    assert found(tmp_path, only_in_eval, rest="model.eval()") == []


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("torch.softmax(self.activation(logits), -1)", "0.23"),
        ("torch.log_softmax(self.activation(logits), -1)", "0.23"),
        ("F.log_softmax(F.log_softmax(logits, 1), 1)", "changes nothing"),
        ("torch.softmax(F.log_softmax(logits, 1), 1).argmax(1).float()", ""),
    ],
)
def test_twice_is_one_warning_that_says_what_it_does(result: str, says: str, tmp_path: Path) -> None:
    documented = found(tmp_path, result, doc="Returns probabilities.")
    if says:
        assert [finding.severity for finding in documented] == [Severity.WARNING]
        assert says in documented[0].message
    assert len(documented) == 1


def test_alternating_dimensions_are_not_twice(tmp_path: Path) -> None:
    assert found(tmp_path, "logits.log_softmax(1).log_softmax(0).exp()") == []


def test_a_logarithm_of_a_softmax_is_held_against_the_loss_too(tmp_path: Path) -> None:
    assert found(tmp_path, "logits.softmax(1).log()", rest="criterion = torch.nn.NLLLoss()") == []
    (finding,) = found(tmp_path, "torch.log(self.activation(logits))", rest="loss = F.cross_entropy")
    assert finding.severity is Severity.WARNING
    assert "log_softmax" in finding.message
    assert "F.log_softmax" in finding.help


@pytest.mark.parametrize(
    ("rest", "severity"),
    [
        ("def loss(x, target):\n    return -(target * model(x).log()).sum(1).mean()", Severity.INFO),
        ("import math\nscale = math.log(2)", Severity.WARNING),
    ],
)
def test_probabilities_whose_logarithm_is_taken_are_wanted(tmp_path: Path, rest: str, severity: Severity) -> None:
    assert [one.severity for one in found(tmp_path, "logits.softmax(-1)", rest=rest)] == [severity]
