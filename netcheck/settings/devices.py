"""Devices by name, and the memory that they have: "RTX 4090" is 24564 MiB. Imports no torch.

A device has less than its box says where a part is kept for error correction: these are the totals that `nvidia-smi` and
`rocm-smi` report. What a training can have is less by the driver's own share, some hundred MiB.
"""

from __future__ import annotations

import re

MIB = 2**20
UNTOLD = re.compile(r"nvidia|geforce|tesla|amd|instinct|pcie|sxm\d?")  # what a name may have besides

# MiB in all as the drivers report it; the data sheets' figures are those in the comments.
# Sources: the vendors' data sheets (nvidia.com/en-us/data-center/<name>, nvidia.com/en-us/geforce/graphics-cards,
# amd.com/en/products/accelerators/instinct), and `nvidia-smi` on the machines that cloud providers rent with them.
MEBIBYTES = {
    "T4": 15360,  # 16 GB, with error correction
    "P100-16GB": 16276,
    "V100-16GB": 16384,
    "V100-32GB": 32768,
    "L4": 23034,  # 24 GB, with error correction
    "A10": 23028,  # 24 GB, with error correction
    "A10G": 23028,
    "L40S": 46068,  # 48 GB, with error correction
    "A40": 46068,
    "RTX A6000": 49140,
    "A100-40GB": 40960,
    "A100-80GB": 81920,
    "H100-80GB": 81559,
    "H200": 143771,  # 141 GB
    "B200": 183359,  # 192 GB, of which 180 are there for use
    "MI300X": 196592,  # 192 GB
    "RTX 2080 Ti": 11264,
    "RTX 3060": 12288,
    "RTX 3090": 24576,
    "RTX 4080": 16376,
    "RTX 4090": 24564,
    "RTX 5090": 32607,
}
ALIASES = {"A100": "A100-80GB", "H100": "H100-80GB", "V100": "V100-16GB", "P100": "P100-16GB", "A6000": "RTX A6000"}


def plain(name: str) -> str:
    """A name as it is compared: "rtx4090" of "NVIDIA GeForce RTX 4090"."""
    words = name.lower().replace("-", " ").replace("_", " ").split()
    return "".join(word for word in words if not UNTOLD.fullmatch(word))


BY_NAME = {plain(name): MEBIBYTES[device] * MIB for name, device in (*zip(MEBIBYTES, MEBIBYTES, strict=True), *ALIASES.items())}


def memory_of(name: str) -> int | None:
    """The bytes of a device of this name; None if there is none in the table."""
    return BY_NAME.get(plain(name)) or BY_NAME.get("rtx" + plain(name))
