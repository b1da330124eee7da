"""DataParallel: one batch, several devices, and a forward that sees only its share.

The lecture: nn.DataParallel cuts a batch along dimension 0, runs a copy of the model on each device, and joins the outputs.
Printing shapes inside forward shows it: 30 samples on four devices arrive as 8, 8, 8 and 6. What a forward computes from
the whole batch, such as its mean, it computes from a share there, and the result depends on the number of devices.

netcheck says:
    Toy          nothing
    CentringToy  info NC705 samples-mixed: if the first dimension is the batch; a warning with `--devices 4 --batch-size 32`
"""

import torch
from torch import Tensor, nn

DEVICES = 4


class Toy(nn.Module):
    """One layer that says what it sees."""

    def __init__(self, features: int = 5, outputs: int = 2):
        super().__init__()
        self.fc = nn.Linear(features, outputs)

    def forward(self, x):  # (B, features)
        output = self.fc(x)  # (B, outputs)
        print(f"    inside forward: input {tuple(x.shape)}, output {tuple(output.shape)}")
        return output


class CentringToy(Toy):
    """The same, less the mean of the batch: each sample's output depends on the others beside it."""

    def forward(self, x):  # (B, features)
        return super().forward(x - x.mean(dim=0))  # (B, outputs)


def in_parallel(model: nn.Module, batch: Tensor) -> Tensor:
    """What nn.DataParallel computes: the real thing on two or more GPUs, its chunks one after the other elsewhere."""
    if torch.cuda.device_count() > 1:
        return nn.DataParallel(model.cuda())(batch.cuda()).cpu()
    return torch.cat([model(share) for share in batch.chunk(DEVICES)])


if __name__ == "__main__":
    torch.manual_seed(0)
    batch = torch.randn(30, 5)  # (B, features)
    for build in (Toy, CentringToy):
        model = build()
        print(f"{build.__name__} on one device")
        whole = model(batch)
        print(f"{build.__name__} in parallel")
        shares = in_parallel(model, batch)
        print(f"  largest difference: {(whole - shares).abs().max().item():.0e}")
