"""Functional, method, in-place and torch.* forms: what forward does to `x` in a line or two.

{d} is a dimension, {s} one that is not the batch's, {c} and {l} the sizes of the second and of the last dimension, {n} the
batch size, {i} an index along {d}; {weight}, {vector}, {like}, {scalar} are parameters and {buffer} a buffer of x's shape.
Where a line does not fit a value, is found out by trying.
"""

from __future__ import annotations

import functools

from tests.random_nets.layers import Piece
from tests.random_nets.writing import Part, Shape

ELEMENTWISE = """
torch.abs(x); x.abs().add(1e-3).log(); torch.exp(-x.abs()); x.clamp(-1, 1); torch.clamp(x, min=0); x.clamp_min(0.1); x.sin() + x.cos()
torch.erf(x); torch.expm1(x * 0.1); torch.log1p(x.abs()); x.sqrt().nan_to_num(); torch.rsqrt(x.abs() + 1); x.square(); x ** 2; x.pow(3)
2 ** x; x.reciprocal().clamp(-9, 9); x.sigmoid(); torch.tanh(x); x.neg(); -x; x.sign() * x; x.round() + x; x.floor() + x; x.frac(); x % 1.5
x // 1 + x; torch.fmod(x, 2); torch.remainder(x, 0.7); torch.atan2(x, x + 2); torch.hypot(x, x.tanh()); x.lerp(x.tanh(), 0.3)
torch.maximum(x, x.neg()); torch.minimum(x, {like}); torch.where(x > 0, x, 0.1 * x); x.where(x < 1, torch.tensor(1.0)); torch.sinc(x)
torch.addcmul(x, x, x, value=0.5); torch.addcdiv(x, x, x.abs() + 1); torch.logaddexp(x, x.tanh()); torch.xlogy(x, x.abs() + 1); torch.i0(x)
x * {like}; x + {like}; x - {vector}; x / ({vector}.abs() + 1); x * {scalar}; 1 - x; 2.0 / (x.abs() + 1); x * {buffer}; {buffer} + x
torch.special.expit(x); torch.special.erfcx(x.abs()); torch.lgamma(x.abs() + 1); torch.digamma(x.abs() + 1); torch.heaviside(x, x) + x
torch.nan_to_num(x); torch.isfinite(x).float() * x; (x > 0).to(x.dtype) * x; x.gt(0).float() + x; x.float(); x.to(torch.float32); x.type_as(x)
torch.polar(x.abs(), x).real; torch.complex(x, x).abs(); torch.view_as_real(torch.complex(x, x)).sum(-1); torch.angle(torch.complex(x, x + 1))
x.erfinv().nan_to_num(); torch.logit(x.sigmoid(), eps=1e-3); torch.deg2rad(x); torch.positive(x); torch.ldexp(x, torch.tensor(1))
"""

ACTIVATIONS = """
F.relu(x); F.leaky_relu(x, 0.2); F.elu(x); F.selu(x); F.celu(x); F.gelu(x); F.gelu(x, approximate="tanh"); F.silu(x); F.mish(x); F.softplus(x)
F.hardtanh(x); F.hardswish(x); F.hardsigmoid(x); F.relu6(x); F.prelu(x, {scalar}.reshape(1)); F.rrelu(x, training=self.training); F.glu(torch.cat([x, x], 1), 1)
F.logsigmoid(x); F.softsign(x); F.tanhshrink(x); F.softshrink(x); F.hardshrink(x); F.threshold(x, 0.1, 0.0); F.softmax(x, dim={s}); x.softmax(-1)
F.log_softmax(x, -1); F.softmin(x, dim=1); F.gumbel_softmax(x, dim=-1); F.gumbel_softmax(x, hard=True); torch.relu(x); F.glu(x, {s}); F.normalize(x, dim={s})
x.relu(); x.log_softmax(1); torch.softmax(x, 1); F.dropout(x, 0.3, self.training); F.dropout(x); F.alpha_dropout(x, 0.2, self.training); F.dropout1d(x, 0.2)
F.dropout2d(x, 0.2, training=self.training); F.feature_alpha_dropout(x, 0.2, self.training); torch.dropout(x, 0.2, True); x * torch.bernoulli(torch.full_like(x, 0.5))
"""

FUNCTIONAL = """
F.linear(x, {weight}); F.linear(x, {weight}, {vector}); F.bilinear(x, x, torch.ones(3, {l}, {l})); F.layer_norm(x, (x.shape[-1],)); F.layer_norm(x, x.shape[1:])
F.layer_norm(x, ({l},), {vector}); F.rms_norm(x, ({l},)); F.group_norm(x, 1); F.batch_norm(x, None, None, training=True); F.instance_norm(x)
F.local_response_norm(x, 2); F.conv1d(x, torch.ones(3, {c}, 2) / {c}); F.conv2d(x, torch.ones(3, {c}, 2, 2) / {c}, padding=1); F.conv3d(x, torch.ones(2, {c}, 1, 1, 1))
F.conv_transpose1d(x, torch.ones({c}, 3, 2) / {c}); F.conv_transpose2d(x, torch.ones({c}, 3, 2, 2) / {c}); F.avg_pool1d(x, 2); F.avg_pool2d(x, 2); F.avg_pool3d(x, 2)
F.max_pool1d(x, 2); F.max_pool2d(x, 2, stride=1); F.max_pool3d(x, 2); F.adaptive_avg_pool1d(x, 3); F.adaptive_avg_pool2d(x, 2); F.adaptive_max_pool2d(x, (1, 2))
F.adaptive_avg_pool3d(x, 1); F.lp_pool1d(x.abs() + 0.1, 2, 2); F.lp_pool2d(x.abs() + 0.1, 2, 2); F.fractional_max_pool2d(x, 2, output_size=3)
F.interpolate(x, scale_factor=2); F.interpolate(x, size=5, mode="linear"); F.interpolate(x, size=(5, 5), mode="bilinear", align_corners=False)
F.interpolate(x, scale_factor=0.5, mode="area"); F.interpolate(x, scale_factor=2, mode="bicubic"); F.upsample(x, scale_factor=2); F.pad(x, (1, 1))
F.pad(x, (1, 0), mode="replicate"); F.pad(x, (1, 1, 1, 1), mode="reflect"); F.pad(x, (0, 1), value=1.0); F.pad(x, (1, 1), mode="circular"); F.unfold(x, 2)
F.fold(F.unfold(x, 2, stride=2), x.shape[-2:], 2, stride=2); F.pixel_shuffle(x, 2); F.pixel_unshuffle(x, 2); F.channel_shuffle(x, 2); F.native_channel_shuffle(x, 2)
F.grid_sample(x, F.affine_grid(torch.eye(2, 3).repeat({n}, 1, 1), list(x.shape), align_corners=False), align_corners=False)
F.scaled_dot_product_attention(x, x, x); F.scaled_dot_product_attention(x, x, x, is_causal=True); F.scaled_dot_product_attention(x, x, x, dropout_p=0.1 if self.training else 0.0)
F.embedding((x.abs() * 2).long().clamp(max=3), {table}); F.embedding_bag((x.abs() * 2).long().clamp(max=3), {table}); F.one_hot((x > 0).long(), 2).float()
x + F.mse_loss(x, torch.zeros_like(x)); x + F.cross_entropy(x, x.softmax(1)); x * F.cosine_similarity(x, x.tanh(), dim=1).unsqueeze(1); x * F.cosine_similarity(x, x.flip(1)).mean()
x * F.pairwise_distance(x, x.tanh(), keepdim=True); x + F.smooth_l1_loss(x, x.detach(), reduction="none"); F.pdist(x).mean() + x; x + F.kl_div(x.log_softmax(-1), x.softmax(-1))
x + F.binary_cross_entropy_with_logits(x, torch.ones_like(x)); x + F.l1_loss(x, x.tanh()); x + F.huber_loss(x, torch.zeros_like(x)); F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)
x + F.triplet_margin_loss(x, x.tanh(), x.flip(0)); x + F.gaussian_nll_loss(x, torch.zeros_like(x), torch.ones_like(x)); x + F.nll_loss(x.log_softmax(1), torch.zeros(len(x), dtype=torch.long))
F.multi_head_attention_forward(x, x, x, {l}, 1, torch.ones(3 * {l}, {l}) / {l}, None, None, None, False, 0.0, {weight}, None)[0]
"""

SHAPES = """
x.flatten(1); x.flatten(2); x.reshape({n}, -1); x.view({n}, -1); x.view(x.size(0), -1); x.reshape(len(x), {l}, -1); x.unsqueeze(1); x.unsqueeze(-1).squeeze(-1); x[:, None]
x.transpose(1, -1); x.permute(0, *range(x.dim() - 1, 0, -1)); x.mT; x.transpose(-2, -1).contiguous(); x.swapaxes(1, -1); x.movedim(1, -1); x.squeeze(); x.unflatten(1, (2, -1))
x.expand({n}, *x.shape[1:]); x.unsqueeze(1).expand(-1, 2, *([-1] * (x.dim() - 1))); x.repeat(1, 2, *([1] * (x.dim() - 2))); x.repeat_interleave(2, dim=1); x.tile(2)
torch.cat([x, x.neg()], {s}); torch.stack([x, x * 2], dim=1); torch.stack([x, x.tanh()]).mean(0); torch.cat((x, x), dim=-1); torch.hstack([x, x]); torch.concat([x[:1], x[1:]])
torch.cat(x.split(1, dim=1), dim=1); torch.cat(x.chunk(2, dim=1)[::-1], 1); x.chunk(2, -1)[0]; x.split([1, {c} - 1], 1)[1]; torch.stack(x.unbind(1), -1); x.tensor_split(2, 1)[0]
x[:, 0]; x[:, :1]; x[..., -1]; x[:, ::2]; x[:, 1:]; x[..., :2]; x[:, [0, -1]]; x[torch.arange({n})]; x[:, torch.tensor([0, 0])]; x[:, None, ..., 0]; x.select(1, 0); x.narrow(1, 0, 1)
x.index_select(1, torch.tensor([0, {c} - 1])); x.gather(1, torch.zeros_like(x, dtype=torch.long)); x.take_along_dim(x.argsort(1), 1); x.roll(1, {s}); torch.roll(x, (1, 1), (0, 1))
x.flip(1); torch.flip(x, [0, 1]); torch.rot90(x, 1, (1, -1)); x.tril(); x.triu(1); torch.diagonal(x, dim1=-2, dim2=-1); torch.diag_embed(x); x.unfold(1, 2, 1).mean(-1); x.as_strided(x.shape, x.stride())
x.view_as(x); x.reshape_as(x); x.contiguous(); x.clone(); x.detach() + x; x.detach(); torch.atleast_3d(x); x.ravel().view(x.shape); torch.broadcast_to(x, x.shape); torch.meshgrid(x[0].flatten()[:3], x[0].flatten()[:2], indexing="ij")[0].mean() + x
x.contiguous(memory_format=torch.channels_last); x.to(memory_format=torch.channels_last) * 1; torch.block_diag(x, x)[:{n}]; torch.column_stack((x, x)); x.new_zeros(x.shape) + x; x.masked_select(x > -99).view(x.shape)
"""

REDUCTIONS = """
x.sum(-1, keepdim=True) + x; x.mean(dim=1); x.mean(1, keepdim=True) * x; x.sum((1, -1), keepdim=True) + x; x - x.mean(); x / x.std(); (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt()
x.max(1)[0]; x.max(-1).values; x.amax(-1, keepdim=True) + x; x.min(dim=1, keepdim=True)[0] * x; torch.max(x) + x; x.argmax(-1, keepdim=True).float() + x; x.median(-1)[0]; x.quantile(0.5, dim=-1); x.mode(1).values
x.prod(1); x.logsumexp(-1); torch.logsumexp(x, 1, keepdim=True) + x; x.cumsum(1); x.cumsum({s}); x.cumprod(-1); x.cummax(1)[0]; torch.logcumsumexp(x, 1); x.norm(dim=-1, keepdim=True) + x; x / x.norm(); x.nansum(1)
torch.linalg.vector_norm(x, dim=-1, keepdim=True) * x; torch.linalg.norm(x) * x; x.sort(-1)[0]; x.sort(1, descending=True).values; x.topk(1, dim=-1)[0]; x.topk(2, 1).values; torch.topk(x, 1, 1)[0] * x; x.kthvalue(1, 1)[0]
x.argsort(-1).float() * x; torch.msort(x); x.diff(dim=1); x.var(1); x.std(-1, keepdim=True) + x; torch.var_mean(x, 1)[1]; torch.std_mean(x, -1, keepdim=True)[0] * x; x.count_nonzero(1).float(); x.any().float() * x; x.all(-1).float(); torch.aminmax(x)[1] + x
torch.histc(x.detach(), 4).sum() * x; torch.bincount((x.detach() > 0).long().flatten(), minlength=2).sum() * x; torch.unique(x.detach()).numel() * x; torch.trapezoid(x, dim=1); torch.renorm(x, 2, 0, 1.0); x.renorm(2, 1, 0.5); torch.searchsorted(x.detach().flatten().sort()[0], x.detach()).float() + x
x.nanmean(1, keepdim=True) + x; x.softmax(-1).multinomial(1).float() + x.mean(-1, keepdim=True); torch.bucketize(x.detach(), torch.tensor([-1.0, 0.0, 1.0])).float() + x; x.nonzero().shape[0] * x; torch.count_nonzero(x) * x; torch.cov(x) @ x; torch.corrcoef(x) @ x
"""

PRODUCTS = """
x @ {weight}; torch.matmul(x, {weight}); x.matmul({weight}); torch.einsum("b...i,ij->b...j", x, {weight}); torch.einsum("bi,bj->bij", x, x); torch.einsum("bci,bcj->bij", x, x.tanh()); torch.einsum("bij,bij,bij->bi", x, x.tanh(), x.neg())
torch.einsum("bi,ij,bj->b", x, {weight}, x)[:, None] + x; x @ x.transpose(-2, -1); torch.bmm(x, x.transpose(1, 2)); torch.mm(x, {weight}); torch.addmm({vector}, x, {weight}); torch.baddbmm(x, x, torch.eye({l}).expand({n}, -1, -1)); torch.mv(x, {vector})[:, None] * x
torch.tensordot(x, {weight}, dims=1); torch.inner(x, {weight}); torch.outer(x.flatten()[:{n}], {vector}); torch.kron(x, torch.ones(1, 2)); torch.cdist(x, x); torch.cdist(x, x.tanh(), p=1); torch.cross(x[..., :3], x[..., :3].roll(1, -1), dim=-1); torch.chain_matmul(x, {weight}, {weight}); torch.linalg.multi_dot([x, {weight}, {weight}])
torch.linalg.svdvals(x).sum() * x; torch.linalg.svd(x, full_matrices=False)[1].sum() * x; torch.linalg.qr(x)[0]; torch.linalg.eigvalsh(x @ x.mT)[..., :1].mean() + x; torch.linalg.eigh(x @ x.mT)[0].sum() * x; torch.linalg.eigvals({weight}).abs().sum() * x; torch.linalg.pinv(x).mT; x @ torch.linalg.inv({weight} + 9 * torch.eye({l}))
torch.linalg.solve({weight} + 9 * torch.eye({l}), x.mT).mT; torch.linalg.det({weight} + 3 * torch.eye({l})) * x; torch.linalg.slogdet({weight} + 9 * torch.eye({l}))[1] * x; torch.linalg.cholesky({weight} @ {weight}.mT + torch.eye({l})).sum() + x; x @ torch.matrix_exp({weight} * 0.1); torch.linalg.matrix_norm(x, "nuc").mean() * x; torch.linalg.lstsq(torch.eye({l}), x.mT).solution.mT
torch.svd(x)[1].sum() + x; torch.trace(x) * x; torch.linalg.matrix_power({weight}, 2).sum() * x; x @ torch.triu({weight}); torch.linalg.householder_product(x.mT, {vector}[: x.shape[0]]).mean() + x; torch.vdot(x.flatten(), x.flatten()) * x; torch.dot(x.flatten(), x.flatten()) + x; torch.vander(x[:, 0])[:, :1] + x; torch.linalg.lu_factor({weight})[0].sum() * x
"""

FOURIER = """
torch.fft.rfft(x).abs(); torch.fft.irfft(torch.fft.rfft(x), n={l}); torch.fft.fft(x).real; torch.fft.ifft(torch.fft.fft(x)).real; torch.fft.fft2(x).abs(); torch.fft.rfft2(x).real; torch.fft.fftshift(x); torch.fft.irfft(torch.fft.rfft(x) * torch.rand({l} // 2 + 1), n={l}); torch.fft.hfft(x.to(torch.cfloat)); torch.fft.rfftn(x, dim=(-2, -1)).abs()
torch.stft(x.flatten(1), 4, 2, window=torch.ones(4), return_complex=True).abs(); torch.stft(x, 4, 2, return_complex=True, window=torch.hann_window(4)).real; torch.view_as_real(torch.fft.rfft(x)).flatten(-2); torch.view_as_complex(x.unflatten(-1, (-1, 2))).abs(); (x.to(torch.cfloat) * 1j).imag; x.to(torch.complex64).conj().real
"""

SCATTERS = """
torch.zeros_like(x).scatter(1, torch.zeros_like(x, dtype=torch.long), x); torch.zeros_like(x).scatter_add(1, torch.zeros_like(x, dtype=torch.long), x); x.scatter_reduce(1, torch.zeros_like(x, dtype=torch.long), x, "mean"); torch.zeros_like(x).index_add(0, torch.arange({n}), x); x.index_fill(1, torch.tensor([0]), 0.5)
torch.zeros_like(x).index_copy(0, torch.arange({n}), x); x.masked_fill(x < -1, 0.0); torch.masked_fill(x, x > 1, 1.0); x.masked_scatter(x > 0, torch.zeros_like(x)); x.index_put((torch.tensor([0]),), torch.zeros_like(x[:1])); torch.index_select(x, 0, torch.arange({n}).flip(0)); x.put(torch.tensor([0]), torch.tensor([1.0])); x.take(torch.tensor([0, 1])).sum() + x
torch.select_scatter(x, x[:, 0], 1, 0); torch.slice_scatter(x, x[:, :1], 1, 0, 1); torch.diagonal_scatter(x, torch.zeros(min(x.shape[:2]), *x.shape[2:]).movedim(0, -1), dim1=0, dim2=1); torch.scatter(x, 0, torch.zeros(1, *x.shape[1:], dtype=torch.long), 0.5); torch.index_reduce(x, 0, torch.arange({n}), x, "amax")
"""

CREATION = """
x + torch.zeros_like(x); x + torch.ones(x.shape[-1]); x * torch.arange(x.shape[-1], dtype=x.dtype); x + torch.linspace(0, 1, {l}); x + torch.randn_like(x) * 0.1; x + torch.rand(x.shape) * 0.1; x + torch.randn({l}); x * torch.empty_like(x).uniform_(0.5, 1); x + torch.normal(0.0, 0.1, x.shape); x * torch.tensor(0.5); x + torch.full((1,), 0.5); x + torch.eye({l})[0]
x + torch.randint(0, 2, x.shape).float(); x[:, torch.randperm({c})]; x + x.new_ones(1); x * torch.as_tensor([2.0]); x + torch.from_numpy(numpy.ones({l}, dtype="float32")); x + numpy.float32(0.5); x * math.sqrt(2); x + float(x.shape[1]); x + torch.distributions.Normal(torch.zeros({l}), 1.0).rsample(); x + torch.distributions.Categorical(logits=x).sample().unsqueeze(-1); x * random.random(); x + float(numpy.random.rand())
torch.poisson(x.abs()) + x; x + torch.empty(1).fill_(2.0); x + torch.logspace(0, 1, 1); x * (torch.rand(x.shape[0], *([1] * (x.dim() - 1))) > 0.2).float(); x * torch.triu(torch.ones({l}, {l}))[0]; x + torch.tensor([float(len(x))]); x + torch.hann_window({l}); x * torch.combinations(torch.arange(3.0)).sum(); x + torch.cartesian_prod(torch.ones(1), torch.ones(1)).sum(); x + torch.sparse_coo_tensor(torch.tensor([[0], [0]]), torch.ones(1), (1, 1)).to_dense()
"""

# `x` is made new in the first line, so that no input and no saved value is written to, unless that is the point.
INPLACE = """
x = x * 1; x.relu_()
x = x + 0; x.add_(1)
x = x + 0; x.mul_(2).add_(1)
x = x + 0; x += 1; x *= 0.5
x = x * 1; x -= x.mean()
x = F.relu(x, inplace=True)
x = F.leaky_relu_(x * 1.0)
x = x.clone(); x[:, 0] = 0
x = x.clone(); x[:, 0] = x[:, 1]
x = x.clone(); x[x < 0] = 0.0
x = x.clone(); x[:, :1] += 1
x = x.clone(); x[..., -1] *= 2
x = x.clone(); x.masked_fill_(x > 1, 1.0)
x = x.clone(); x.index_fill_(1, torch.tensor([0]), 0.0)
x = x.clone(); x.clamp_(-1, 1)
x = x.clone(); x.zero_(); x = x + {vector}
x = x.clone(); x.copy_(x.tanh())
x = x.clone(); x[0].add_(1)
x = x.clone(); y = x[:, :1]; y.mul_(2); x = x + y
x = x.clone(); y = x.view(-1); x.add_(1); x = x + y.sum()
x = x.clone(); x.unsqueeze_(1); x.squeeze_(1)
x = x.clone(); x.transpose_(1, -1)
x = x.clone(); x.t_().mul_(1.5).t_()
x = torch.zeros_like(x).add_(x)
y = torch.empty_like(x); torch.add(x.detach(), 1, out=y); x = x + y
y = torch.zeros(x.shape); y[:, 0] = x[:, 0]; x = x + y
y = torch.zeros_like(x); y.scatter_(1, torch.zeros_like(x, dtype=torch.long), x); x = y
y = torch.zeros_like(x); y.index_add_(0, torch.arange({n}), x); x = y
y = x.new_zeros(x.shape); y.index_put_((torch.arange({n}),), x, accumulate=True); x = x + y
y = x.new_empty(x.shape).normal_(); x = x + y
y = torch.relu(x); y += x; x = y
y = torch.sigmoid(x); y.mul_(x); x = y
y = torch.tanh(x); y.add_(1); x = y
y = x.exp(); y -= 1; x = y
y = x * 2; y.sqrt_().nan_to_num_(); x = y
x = x.clone(); x.uniform_(0, 1); x = x * {vector}
x = x.clone(); F.dropout(x, 0.3, self.training, inplace=True)
x = x.clone(); x.data.mul_(2)
x = x.clone(); x.data = x.data * 2
x = x.clone(); x.detach().add_(1)
x = x.clone(); x.detach_(); x = x * {vector}
x = x.clone(); x.set_(x.tanh())
x = x.clone(); x.resize_(x.shape)
x = x.clone(); x.requires_grad_(); x = x * 2
x = x.clone(); x.cumsum_(1)
x = x.clone(); x = x.fill_diagonal_(0.0)
x = x.clone(); torch.relu_(x); x = torch.sigmoid_(x)
x = x.clone(); x[:, 0], x[:, 1] = x[:, 1].clone(), x[:, 0].clone()
x = x.clone(); x.__setitem__((slice(None), 0), 1.0)
x = x.clone(); x[torch.arange({n}), 0] = x[torch.arange({n}), 1]
x = x.clone(); x.swapaxes_(1, -1).swapaxes_(1, -1)
x = x.clone(); del_me = x[..., 0]; x[..., 0] = del_me * 2
x = x.clone(); x.bernoulli_(0.5); x = x + {vector}
x = x.clone(); x.lerp_(x.tanh(), 0.5)
x = x.clone(); x.addcmul_(x, x)
x = x.clone(); x.pow_(2)
x = x.clone(); x.renorm_(2, 0, 1.0)
"""

GROUPS = {
    "elementwise": ELEMENTWISE, "activations": ACTIVATIONS, "functional": FUNCTIONAL, "shapes": SHAPES, "reductions": REDUCTIONS,
    "products": PRODUCTS, "fourier": FOURIER, "scatters": SCATTERS, "creation": CREATION,
}  # fmt: skip


def written(template: str, part: Part, shape: Shape) -> str:
    """The template with sizes, parameters and buffers in the place of its words."""
    dimension = part.draw.random.randrange(len(shape))
    sizes = {"n": shape[0], "c": shape[1], "l": shape[-1], "d": dimension, "s": max(1, dimension)}
    shapes = {"weight": (shape[-1], shape[-1]), "vector": (shape[-1],), "like": shape[1:], "scalar": (), "table": (4, 6)}
    made = {word: part.parameter(size) for word, size in shapes.items() if f"{{{word}}}" in template}
    if "{buffer}" in template:
        made["buffer"] = part.buffer(f"torch.ones({shape[1:]})")
    return template.format(**sizes, **made)


def expression(template: str, part: Part, shape: Shape) -> None:
    """`x` becomes what the expression gives."""
    part.line(f"x = {written(template, part, shape)}")


def statements(template: str, part: Part, shape: Shape) -> None:
    """Some statements, of which `x` comes out changed."""
    part.line(*written(template, part, shape).split("; "))


def pieces() -> dict[str, Piece]:
    """One for each form."""
    found: dict[str, Piece] = {}
    for group in GROUPS.values():
        for template in (text.strip() for line in group.strip().splitlines() for text in line.split("; ")):
            found[template] = functools.partial(expression, template)
    for template in INPLACE.strip().splitlines():
        found[template] = functools.partial(statements, template)
    return found
