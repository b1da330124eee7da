"""Two hosts: two groups of processes that torchrun starts apart, which meet over the loopback device."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.measure.conftest import PATIENCE

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"), pytest.mark.slow]
ROOT = Path(__file__).parent.parent.parent

MODEL = """
import os, signal, time
import torch
from torch import nn
import torch.distributed as dist

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        if dist.is_initialized() and dist.get_rank() == 1:
            {act}
        return self.layer(x)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def on_two_hosts(file: Path, *options: str, each: int = 1) -> tuple[list[str], list[int], float]:
    """What the groups of two hosts print, their exit codes, and how many seconds they took; none is left behind."""
    port = str(free_port())
    address = ["--nnodes", "2", "--nproc-per-node", str(each), "--master-addr", "127.0.0.1", "--master-port", port]
    run = [sys.executable, "-m", "torch.distributed.run", *address]
    given = [f"{file}:Net", "--input", "8,6", "--no-cache", "--exit-zero"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    start = time.monotonic()
    groups = [
        subprocess.Popen(
            [*run, "--node-rank", str(host), "-m", "netcheck", *given, *options],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for host in range(2)
    ]
    try:
        texts = [group.communicate(timeout=2 * PATIENCE)[0] for group in groups]
    finally:
        for group in groups:
            if group.poll() is None:
                os.killpg(group.pid, signal.SIGKILL)
                group.wait()
    assert not [group for group in groups if has_members(group.pid)]
    return texts, [group.returncode for group in groups], time.monotonic() - start


def has_members(session: int) -> bool:
    """Whether a process that was started with this one (`setsid`) still lives."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            return True
    return False


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_hosts_give_one_report(strategy: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(MODEL.format(act="pass"))
    texts, codes, _ = on_two_hosts(file, "--strategy", strategy)
    assert codes == [0, 0], texts
    assert [text.count("Checked 1 model") for text in texts] == [1, 0]
    over = "FSDP2 over gloo" if strategy == "fsdp" else "gloo"
    assert f"{over}, 2 processes of torchrun on 2 hosts, on the CPU: outputs and gradients equal (float64)" in texts[0]


def test_a_rank_that_dies_is_named(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(MODEL.format(act="os.kill(os.getpid(), signal.SIGKILL)"))
    texts, _, seconds = on_two_hosts(file, "--timeout", "120")
    assert seconds < 120
    assert "rank 1 of 2" in texts[0], texts


def test_a_rank_that_hangs_is_named(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(MODEL.format(act="time.sleep(1000)"))
    texts, _, seconds = on_two_hosts(file, "--timeout", "120")
    assert seconds < 120 + 60  # what starting and ending takes on a busy machine
    assert "rank 1 of 2 gave no answer in" in texts[0], texts
