"""NC505: LSTMs that start out forgetting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.questions.forget_gates import ForgetGate, forget_gates, sigmoid

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_OPEN = 0.5  # a mean bias from which a forget gate counts as open: it keeps 62 % a step


class ForgetGateBias(StaticRule):
    """The forget gate of an LSTM starts half shut: its bias is about zero, so half of the memory is gone at
    every step.

    ## What it does
    Reads the bias of the forget gate (the sum of bias_ih and bias_hh) of every `nn.LSTM` and `nn.LSTMCell`,
    and of cells that are written out as f * c + i * tanh(g). A mean below 0.5 is reported.

    ## Why is this bad?
    The gradient along the cell state is multiplied by the forget gate once a step. At bias zero that is 0.5:
    after 20 steps a millionth is left, and what the start of a sequence means cannot be learned. At bias 1
    it is 0.73, and 0.2 % is left; at bias 2, 7 %.

    ## When it is fine
    On short sequences, or where the last few steps decide. In a cell whose forget gate adds a constant
    itself.

    ## Evidence
    The mean bias in the weights, and sigmoid(bias)^20. Jozefowicz et al. found a bias of 1 the largest
    single gain among all changes to the LSTM that they tried; TensorFlow and Keras start with it, PyTorch
    does not.

    ## References
    - Gers, Schmidhuber and Cummins 2000, Learning to Forget.
    - Jozefowicz, Zaremba and Sutskever 2015, An Empirical Exploration of Recurrent Network Architectures.
    - Tallec and Ollivier 2018, Can Recurrent Neural Networks Warp Time?: the bias that fits a time scale.
    """

    code = "NC505"
    name = "forget-gate-bias"
    severity = Severity.INFO
    plain = "An LSTM starts by forgetting half of its memory at each step"
    fixable = Fixable("let the forget gates start open: a bias of 1", safe=False)
    THRESHOLDS = (Threshold("bias", _OPEN, "mean bias from which a forget gate counts as open"),)
    BAD = (
        Example(
            "nn.LSTM at PyTorch's own initialization",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(16, 32, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])

model = Net()
""",
            "8x20x16",
        ),
    )
    GOOD = (
        Example(
            "the forget gate's bias set to one",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 32), nn.Linear(32, 4)
        with torch.no_grad():
            self.lstm.bias_ih_l0[32:64] = 1
            self.lstm.bias_hh_l0[32:64] = 0

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])

model = Net()
""",
            "20x8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all LSTM layers whose forget gates start half shut."""
        shut: dict[str, ForgetGate] = {}
        for gate in forget_gates(graph):
            if gate.bias < self.limit("bias"):
                shut.setdefault(gate.name, gate)
        if not shut:
            return
        gates = list(shut.values())
        lowest = min(gate.bias for gate in gates)
        kept = sigmoid(lowest)
        yield self.finding(
            f"the forget gates of {len(gates)} LSTM layer{'s' * (len(gates) > 1)} start with a mean bias "
            f"of {lowest:.2f}: "
            f"{1 - kept:.0%} of the cell state is lost at every step",
            help="set it to 1, in one of the two biases (gates are stacked i, f, g, o): "
            "`with torch.no_grad(): lstm.bias_ih_l0[n:2 * n] = 1; lstm.bias_hh_l0[n:2 * n] = 0`, n = lstm.hidden_size",
            evidence=Evidence(
                lowest, "bias",
                f"sigmoid({lowest:.2f})^20 = {kept**20:.1g} of the cell state is left after 20 steps", limit=self.limit("bias")
            ),
            at=list(dict.fromkeys(gate.node for gate in gates)),
            verdict=Verdict.CONFIRMED,
            count=len(gates),
        )  # fmt: skip
