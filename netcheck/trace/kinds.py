"""What an operation is: one table of what torch ships, as modules and as functions. Imports no torch.

Rules ask for `node.kind` (and `node.detail`, its sort), never for a class: `nn.Tanh()(x)`, `torch.tanh(x)`, `x.tanh()` and
a user's own module that computes it are all `Kind.ACTIVATION`. The tables are applied by `netcheck.trace.classify`, which
adds what behaviour tells. What neither explains is `Kind.UNKNOWN`, and reported as such.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What an operation does to a signal on its way, whatever it was written as."""

    INPUT = "input"
    OUTPUT = "output"
    PARAMETER = "parameter"  # of the model, or computed from its parameters alone
    CONSTANT = "constant"  # does not depend on the input
    RANDOM = "random"  # fresh random numbers

    LINEAR = "linear"
    CONV = "conv"  # detail: "", "transpose"
    EMBEDDING = "embedding"
    RECURRENT = "recurrent"
    ATTENTION = "attention"  # detail: "module" (with its projections), "product" (queries, keys, values in)
    MATMUL = "matmul"  # of two activations

    ACTIVATION = "activation"  # detail: "", "crelu", "maxout", "glu"
    SOFTMAX = "softmax"
    NORM = "norm"  # detail: "batch", "layer", "group", "instance", "rms", "unit"
    DROPOUT = "dropout"  # detail: "elementwise", "channel", "alpha", "path"; "weight": of a layer's weights (DropConnect)

    ADD = "add"  # of two activations
    GATE = "gate"  # product of two activations
    SHIFT = "shift"  # plus something that does not depend on the input
    SCALE = "scale"  # times something that does not depend on the input
    CAT = "cat"
    POOL = "pool"  # detail: "average", "max"
    REDUCE = "reduce"  # detail: "mean", "sum", "max", ""
    RESHAPE = "reshape"  # the same numbers, in another order or shape
    INDEX = "index"  # some of the numbers
    RESIZE = "resize"
    PAD = "pad"
    CAST = "cast"
    IDENTITY = "identity"
    DETACH = "detach"
    POINTWISE = "pointwise"  # other elementwise mathematics
    COMPARE = "compare"  # gives truth values or indices: no gradient
    LOSS = "loss"
    PART = "part"  # inside a composite, or one of several results
    SCRIPT = "script"  # a ScriptModule: compiled, not looked into
    UNKNOWN = "unknown"


WEIGHT_LAYERS = frozenset((Kind.LINEAR, Kind.CONV, Kind.RECURRENT))  # and ATTENTION, where it has projections

_MODULES = {
    (Kind.LINEAR, ""): "Linear NonDynamicallyQuantizableLinear LazyLinear",
    (Kind.LINEAR, "bilinear"): "Bilinear",
    (Kind.CONV, ""): "Conv1d Conv2d Conv3d LazyConv1d LazyConv2d LazyConv3d",
    (Kind.CONV, "transpose"): "ConvTranspose1d ConvTranspose2d ConvTranspose3d "
    "LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
    (Kind.EMBEDDING, ""): "Embedding EmbeddingBag",
    (Kind.RECURRENT, ""): "RNN LSTM GRU RNNCell LSTMCell GRUCell",
    (Kind.ATTENTION, "module"): "MultiheadAttention",
    (Kind.ACTIVATION, ""): "ReLU ReLU6 RReLU LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Hardswish Softplus Sigmoid "
    "Hardsigmoid LogSigmoid Tanh Hardtanh Softsign Tanhshrink Softshrink Hardshrink Threshold",
    (Kind.ACTIVATION, "glu"): "GLU",
    (Kind.SOFTMAX, ""): "Softmax Softmax2d Softmin",
    (Kind.SOFTMAX, "log"): "LogSoftmax AdaptiveLogSoftmaxWithLoss",
    (Kind.NORM, "batch"): "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d",
    (Kind.NORM, "layer"): "LayerNorm",
    (Kind.NORM, "rms"): "RMSNorm",
    (Kind.NORM, "group"): "GroupNorm",
    (Kind.NORM, "instance"): "InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d "
    "LazyInstanceNorm3d",
    (Kind.NORM, "local"): "LocalResponseNorm CrossMapLRN2d",
    (Kind.DROPOUT, "elementwise"): "Dropout",
    (Kind.DROPOUT, "channel"): "Dropout1d Dropout2d Dropout3d",
    (Kind.DROPOUT, "alpha"): "AlphaDropout",
    (Kind.DROPOUT, "channel alpha"): "FeatureAlphaDropout",
    (Kind.POOL, "max"): "MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d "
    "FractionalMaxPool2d FractionalMaxPool3d",
    (Kind.POOL, "average"): "AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d "
    "LPPool1d LPPool2d LPPool3d",
    (Kind.RESHAPE, ""): "Flatten Unflatten PixelShuffle PixelUnshuffle ChannelShuffle Unfold",
    (Kind.RESHAPE, "sum"): "Fold",
    (Kind.RESIZE, ""): "Upsample UpsamplingNearest2d UpsamplingBilinear2d MaxUnpool1d MaxUnpool2d MaxUnpool3d",
    (Kind.PAD, ""): " ".join(
        f"{how}Pad{rank}d" for how in ("Zero", "Constant", "Reflection", "Replication", "Circular") for rank in (1, 2, 3)
    ),
    (Kind.IDENTITY, ""): "Identity",
    (Kind.LOSS, ""): "L1Loss NLLLoss NLLLoss2d PoissonNLLLoss GaussianNLLLoss KLDivLoss MSELoss BCELoss BCEWithLogitsLoss "
    "HingeEmbeddingLoss MultiLabelMarginLoss SmoothL1Loss HuberLoss SoftMarginLoss CrossEntropyLoss CTCLoss "
    "MultiLabelSoftMarginLoss CosineEmbeddingLoss MarginRankingLoss MultiMarginLoss TripletMarginLoss "
    "TripletMarginWithDistanceLoss CosineSimilarity PairwiseDistance LinearCrossEntropyLoss",
}

# Functions by their bare name: `F.relu`, `torch.relu_` and `x.relu()` are all "relu"; `x + y` is "add".
_FUNCTIONS = {
    (Kind.LINEAR, ""): "linear",
    (Kind.LINEAR, "bilinear"): "bilinear",
    (Kind.CONV, ""): "conv1d conv2d conv3d convolution conv_tbc",
    (Kind.CONV, "transpose"): "conv_transpose1d conv_transpose2d conv_transpose3d",
    (Kind.EMBEDDING, ""): "embedding embedding_bag",
    (Kind.RECURRENT, ""): "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    (Kind.ATTENTION, "module"): "multi_head_attention_forward",
    (Kind.ATTENTION, "product"): "scaled_dot_product_attention",
    (Kind.MATMUL, ""): "matmul mm bmm mv dot vdot inner outer einsum tensordot addmm baddbmm addbmm addmv chain_matmul "
    "multi_dot kron grouped_mm scaled_grouped_mm scaled_mm ger sparse_mm sparse_addmm",
    (Kind.ACTIVATION, ""): "relu relu6 rrelu leaky_relu prelu elu selu celu gelu silu mish hardswish softplus sigmoid expit "
    "hardsigmoid logsigmoid log_sigmoid tanh hardtanh softsign tanhshrink softshrink hardshrink threshold",
    (Kind.ACTIVATION, "glu"): "glu",
    (Kind.SOFTMAX, ""): "softmax softmin gumbel_softmax",
    (Kind.SOFTMAX, "log"): "log_softmax",
    (Kind.NORM, "batch"): "batch_norm native_batch_norm sync_batch_norm",
    (Kind.NORM, "layer"): "layer_norm native_layer_norm",
    (Kind.NORM, "rms"): "rms_norm",
    (Kind.NORM, "group"): "group_norm native_group_norm",
    (Kind.NORM, "instance"): "instance_norm",
    (Kind.NORM, "local"): "local_response_norm",
    (Kind.NORM, "unit"): "normalize",
    (Kind.DROPOUT, "elementwise"): "dropout native_dropout",
    (Kind.DROPOUT, "channel"): "dropout1d dropout2d dropout3d feature_dropout",
    (Kind.DROPOUT, "alpha"): "alpha_dropout",
    (Kind.DROPOUT, "channel alpha"): "feature_alpha_dropout",
    (Kind.ADD, ""): "add iadd sub isub rsub subtract lerp addcmul addcdiv addmm_add",
    (Kind.GATE, ""): "mul imul multiply div itruediv truediv divide true_divide floordiv floor_divide ifloordiv",
    (Kind.CAT, ""): "cat concat concatenate stack hstack vstack dstack column_stack row_stack cartesian_prod meshgrid "
    "pad_sequence",
    (Kind.POOL, "max"): "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
    "max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d "
    "fractional_max_pool3d adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices "
    "adaptive_max_pool3d_with_indices fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices",
    (Kind.POOL, "average"): "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "lp_pool1d lp_pool2d lp_pool3d",
    (Kind.REDUCE, "mean"): "mean nanmean median nanmedian",
    (Kind.REDUCE, "sum"): "sum nansum trace segment_reduce",
    (Kind.REDUCE, "max"): "amax amin aminmax max min mode kthvalue",
    (Kind.REDUCE, ""): "std var std_mean var_mean norm vector_norm matrix_norm logsumexp prod cumsum cumprod logcumsumexp "
    "cummax cummin cdist dist det logdet slogdet quantile nanquantile cosine_similarity pairwise_distance pdist cov "
    "corrcoef histc associative_scan cumulative_trapezoid trapezoid renorm",
    (Kind.RESHAPE, ""): "view reshape view_as reshape_as flatten unflatten ravel squeeze unsqueeze transpose permute t swapaxes "
    "swapdims moveaxis movedim adjoint expand expand_as broadcast_to broadcast_tensors contiguous pixel_shuffle "
    "pixel_unshuffle channel_shuffle native_channel_shuffle unfold im2col roll flip fliplr flipud rot90 T mT H mH "
    "view_as_complex view_as_real as_strided atleast_1d atleast_2d atleast_3d block_diag repeat tile repeat_interleave "
    "real imag resolve_conj resolve_neg conj conj_physical sort argsort_values rearrange complex polar stft istft "
    "stft_real to_dense to_sparse pack_padded_sequence pad_packed_sequence nested_tensor squeeze_multiple resize",
    (Kind.RESHAPE, "sum"): "fold col2im",
    (Kind.INDEX, ""): "getitem select narrow narrow_copy index_select gather take take_along_dim masked_select split chunk "
    "unbind tensor_split hsplit vsplit dsplit split_with_sizes diagonal diag topk tril triu grid_sample affine_grid "
    "unsafe_chunk unsafe_split select_scatter slice_scatter index masked_fill index_put index_add index_copy index_fill "
    "scatter scatter_add scatter_reduce masked_scatter put set_item set_attribute after index_reduce diag_embed "
    "diagonal_scatter unique unique_consecutive fill fill_diagonal unsafe_index setitem copy data zero nan_to_num",
    (Kind.RESIZE, ""): "interpolate upsample upsample_nearest upsample_bilinear max_unpool1d max_unpool2d max_unpool3d",
    (Kind.PAD, ""): "pad constant_pad_nd",
    (Kind.CAST, ""): "to float double half bfloat16 type type_as cpu cuda int long short bool char byte cfloat cdouble "
    "complex32 chalf",
    (
        Kind.IDENTITY,
        "",
    ): "clone requires_grad identity alias lift_fresh deepcopy positive pos assemble container getattr checkpoint "
    "view_copy expand_copy refine_names rename align_to retain_grad",
    (Kind.DETACH, ""): "detach",
    (Kind.POINTWISE, ""): "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal pow ipow float_power square abs absolute "
    "neg negative sign sgn floor ceil round trunc frac fix sin cos tan asin acos atan arcsin arccos arctan atan2 arctan2 sinh "
    "cosh asinh acosh atanh erf erfc erfinv lgamma digamma clamp clip clamp_min clamp_max maximum minimum fmax fmin mod imod "
    "fmod where remainder sinc hypot xlogy special_expit logit i0 logaddexp logaddexp2 angle deg2rad rad2deg copysign ldexp "
    "frexp bernoulli",
    (Kind.COMPARE, ""): "lt le gt ge eq ne less less_equal greater greater_equal not_equal argmax argmin argsort isnan isinf "
    "isfinite isin logical_and logical_or logical_not logical_xor and or xor invert lshift rshift iand ior ixor any all "
    "bitwise_and bitwise_or bitwise_not bitwise_xor bucketize searchsorted nonzero argwhere count_nonzero one_hot multinomial "
    "bincount is_nonzero isclose signbit bitwise_left_shift bitwise_right_shift",
    (Kind.LOSS, ""): "cross_entropy nll_loss nll_loss_nd mse_loss l1_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy "
    "binary_cross_entropy_with_logits ctc_loss gaussian_nll_loss poisson_nll_loss hinge_embedding_loss margin_ranking_loss "
    "cosine_embedding_loss multilabel_margin_loss soft_margin_loss multilabel_soft_margin_loss multi_margin_loss "
    "triplet_margin_loss triplet_margin_with_distance_loss linear_cross_entropy",
    (Kind.RANDOM, ""): "rand randn randint randperm rand_like randn_like randint_like normal uniform exponential random poisson",
    (Kind.CONSTANT, ""): "zeros ones full empty arange linspace logspace eye tensor as_tensor from_numpy zeros_like ones_like "
    "full_like empty_like new_zeros new_ones new_full new_empty new_tensor empty_strided scalar_tensor tril_indices "
    "triu_indices hann_window hamming_window range vander combinations cross fft rfft irfft ifft fft2 rfft2 irfft2 ifft2 "
    "fftn ifftn rfftn irfftn fftshift ifftshift fft_fft fft_rfft fft_irfft fft_ifft fft_rfft2 fft_irfft2 fft_fftn fft_fft2 "
    "fft_ifft2 fft_ifftn fftfreq rfftfreq switch switch_back",
}
# A function that reads like a constant but was given an activation (a Fourier transform) mixes it linearly.
MODULES = {name: key for key, names in _MODULES.items() for name in names.split()}
FUNCTIONS = {name: key for key, names in _FUNCTIONS.items() for name in names.split()}


class Classified(Protocol):
    """What has a kind: a `netcheck.trace.node.Node`."""

    kind: Kind
    detail: str


def is_weight_layer(node: Classified) -> bool:
    """Whether the operation multiplies activations with trained weights."""
    return node.kind in WEIGHT_LAYERS or (node.kind is Kind.ATTENTION and node.detail == "module")
