"""What is not an ordinary float32 tensor: other dtypes, complex numbers, sparse, quantized and empty tensors.

{l} is the size of the last dimension, {c} of the second; each text is (lines of `__init__`, lines of forward).
"""

from __future__ import annotations

import functools

from tests.random_nets.layers import Piece
from tests.random_nets.writing import Part, Shape

# Name: constructor of the member {m} ("" for none), lines of forward.
FORMS: dict[str, tuple[str, str]] = {
    "double layer": ("nn.Linear({l}, {l}).double()", "x = {m}(x.double()).float()"),
    "half layer": ("nn.Linear({l}, {l}).half()", "x = {m}(x.half()).float()"),
    "bfloat16 layer": ("nn.Linear({l}, {l}).bfloat16()", "x = {m}(x.bfloat16()).float()"),
    "layer asked for its dtype": ("nn.Linear({l}, {l}, dtype=torch.float64)", "x = {m}(x.to({m}.weight.dtype)).to(x.dtype)"),
    "bfloat16 block": ("nn.Sequential(nn.Linear({l}, {l}), nn.LayerNorm({l}), nn.GELU()).bfloat16()", "x = {m}(x.to(torch.bfloat16)).type(torch.float32)"),
    "half convolution": ("nn.Conv2d({c}, 4, 1).half()", "x = {m}(x.half()).float()"),
    "double norm": ("nn.LayerNorm({l}).double()", "x = {m}(x.double()).float()"),
    "half parameter": ("nn.Parameter(torch.ones({l}, dtype=torch.float16))", "x = (x.half() * {m}).float()"),
    "double parameter": ("nn.Parameter(torch.ones({l}, dtype=torch.float64))", "x = (x * {m}).float()"),
    "bfloat16 recurrent": ("nn.GRU({l}, 4, batch_first=True).bfloat16()", "x = {m}(x.bfloat16())[0].float()"),
    "double attention": ("nn.MultiheadAttention({l}, 1, batch_first=True).double()", "x = {m}(*[x.double()] * 3)[0].float()"),
    "mixed chain": ("nn.ModuleList([nn.Linear({l}, {l}).to(t) for t in (torch.float32, torch.bfloat16, torch.float64)])", "for layer in {m}:\n    x = layer(x.to(layer.weight.dtype))\nx = x.float()"),
    "float()": ("", "x = x.float()"),
    "to double and back": ("", "x = x.double().tanh().float()"),
    "half sum": ("", "x = x + x.half().sum(-1, keepdim=True).float()"),
    "int and back": ("", "x = x + x.int().float() + x.long().to(x.dtype)"),
    "bool mask": ("", "x = x * x.bool()"),
    "uint8": ("", "x = x + x.clamp(0, 255).to(torch.uint8).float() / 255"),
    "bit operations": ("", "x = x + ((x > 0) & (x < 1) | ~(x == 0) ^ (x != 2)).float()"),
    "complex parameter": ("nn.Parameter(torch.ones({l} // 2 + 1, dtype=torch.cfloat))", "x = torch.fft.irfft(torch.fft.rfft(x) * {m}, n={l})"),
    "complex layer": ("nn.Linear({l}, {l}, dtype=torch.cfloat)", "x = {m}(x.to(torch.cfloat)).abs()"),
    "complex convolution": ("nn.Conv1d({c}, 4, 1, dtype=torch.cfloat)", "x = {m}(torch.complex(x, x)).real"),
    "complex buffer": ("torch.ones({l}, dtype=torch.complex64)", "x = (x * {m}).imag + x"),
    "complex double parameter": ("nn.Parameter(torch.ones({l}, dtype=torch.cdouble))", "x = (x * {m}).abs().float()"),
    "rotary": ("torch.polar(torch.ones({l} // 2), torch.ones({l} // 2))", "x = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * {m}).flatten(-2)"),
    "zero width": ("nn.Linear({l}, 0)", "x = torch.cat([x, {m}(x)], -1)"),
    "from zero width": ("nn.Linear(0, {l})", "x = x + {m}(x[..., :0])"),
    "empty slice": ("", "x = torch.cat([x, x[:, :0]], 1)"),
    "empty sum": ("", "x = x + x[..., :0].sum(-1, keepdim=True)"),
    "empty parameter": ("nn.Parameter(torch.empty(0))", "x = x + {m}.sum()"),
    "empty buffer": ("torch.zeros(0, 3)", "x = x + {m}.sum()"),
    "empty mean": ("", "x = x + x[:, :0].mean().nan_to_num()"),
    "no experts": ("nn.Linear({l}, {l})", "chosen = x[x.flatten(1).sum(1) > 1e9]\nx = x + {m}(chosen).sum()"),
    "sparse csr constant": ("", "x = torch.eye(len(x)).to_sparse_csr() @ x"),
    "sparse coo constant": ("torch.eye({l}).to_sparse()", "x = torch.sparse.mm({m}, x.flatten(1).mT[:{l}]).mT + x"),
    "sparse coo of values": ("", "x = torch.sparse_coo_tensor(torch.tensor([[0, 1], [0, 1]]), x.flatten()[:2], (len(x), len(x))).coalesce() @ x + x"),
    "sparse round trip": ("", "x = x.to_sparse().to_dense()"),
    "sparse buffer in a method": ("torch.eye({l}).to_sparse_coo()", "x = ({m} @ x.mT).mT"),
    "sparse sum": ("", "x = x + torch.sparse.sum(x.to_sparse(), 0).to_dense()"),
    "sparse embedding": ("nn.Embedding(10, 4, sparse=True)", "x = x + {m}(x.detach().abs().long().clamp(max=9)).mean(-1)"),
    "quantized dynamically": ("torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear({l}, {l})), {{nn.Linear}})", "x = {m}(x)"),
    "quantized and back": ("", "x = x + torch.quantize_per_tensor(x.detach(), 0.1, 0, torch.qint8).dequantize()"),
    "fake quantization": ("", "x = torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127)"),
    "quantization stubs": ("nn.Sequential(torch.ao.quantization.QuantStub(), nn.Linear({l}, {l}), torch.ao.quantization.DeQuantStub())", "x = {m}(x)"),
    "int8 buffer": ("torch.ones({l}, dtype=torch.int8)", "x = x * {m}.float()"),
    "bool buffer": ("torch.ones({l}, dtype=torch.bool)", "x = x.masked_fill(~{m}, 0.0)"),
    "nested tensor": ("", "x = torch.nested.to_padded_tensor(torch.nested.as_nested_tensor([x[:2], x[2:]]), 0.0).flatten(0, 1)"),
    "singular values": ("", "x = x + torch.linalg.svdvals(x).sum()"),
    "svd": ("", "x = x + torch.linalg.svd(x)[1].sum()"),
    "eigenvalues": ("nn.Parameter(torch.eye({l}) + 0.1 * torch.rand({l}, {l}))", "x = x * torch.linalg.eig({m})[0].real"),
    "nuclear norm": ("", "x = x / (1 + torch.linalg.matrix_norm(x, 'nuc').mean())"),
    "infinite": ("", "x = x + (x * float('inf')).isinf().float()"),
    "nan output": ("", "x = x * float('inf') * 0"),
    "root of zero": ("", "x = torch.sqrt(x.relu())"),
    "log of zero": ("", "x = torch.log(x.relu() + 1e-30)"),
    "frozen layer": ("nn.Linear({l}, {l}).requires_grad_(False)", "x = {m}(x)"),
    "scalar parameter": ("nn.Parameter(torch.tensor(1.0))", "x = x * {m}"),
    "scalar buffer": ("torch.tensor(2.0)", "x = x / {m}"),
}  # fmt: skip
_TENSORS = ("torch.ones", "torch.zeros", "torch.eye", "torch.tensor", "torch.polar", "torch.empty")


def form(name: str, part: Part, shape: Shape) -> None:
    """The lines of that name."""
    constructor, lines = FORMS[name]
    sizes = {"l": shape[-1], "c": shape[1]}
    if constructor.startswith(_TENSORS):
        sizes["m"] = part.buffer(constructor.format(**sizes))
    elif constructor:
        sizes["m"] = part.member(constructor.format(**sizes))
    part.line(lines.format(**sizes))


def pieces() -> dict[str, Piece]:
    """One for each form."""
    return {name: functools.partial(form, name) for name in FORMS}
