"""What a call does in a training step, by what it is called on and what it is named."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from netcheck.source.training.events import Act
from netcheck.source.training.values import Role, Value, full_name, operation, role_of, settled

OPTIMIZER = re.compile(r"(^|_)(optimi[sz]er|optim|opt)(_?[A-Za-z0-9]{0,12})?$|optimi[sz]er$", re.IGNORECASE)
SCHEDULER = re.compile(r"sched|annealer|warmup|(^|_)lr", re.IGNORECASE)
MODEL = re.compile(
    r"(^|_)(model|net|network|classifier|encoder|decoder|generator|discriminator|backbone|student)\w{0,2}$", re.IGNORECASE
)
CRITERION = re.compile(r"criterion|loss_?(fn|func|function)$|(_loss|^loss)_?(fn|func)", re.IGNORECASE)
SCALER = re.compile(r"(^|_)scaler$", re.IGNORECASE)
CLIPPING = frozenset(("clip_grad_norm_", "clip_grad_norm", "clip_grad_value_"))
LOSSES = frozenset(
    "cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss "
    "kl_div ctc_loss gaussian_nll_loss poisson_nll_loss hinge_embedding_loss margin_ranking_loss cosine_embedding_loss "
    "triplet_margin_loss multi_margin_loss multilabel_margin_loss soft_margin_loss multilabel_soft_margin_loss".split()
)
NO_EFFECT = frozenset(
    "torch torchvision torchaudio torchmetrics numpy math time os sys json tqdm logging random datetime collections itertools "
    "copy matplotlib sklearn pandas PIL cv2 wandb tensorboardX csv pathlib shutil pickle re warnings argparse gc functools "
    "typing scipy yaml glob string seaborn contextlib pprint operator".split()
)  # packages whose functions do nothing to the gradients of a model that they are given
BUILT_IN = frozenset(
    "print len range enumerate zip float int str isinstance sum min max sorted list tuple dict set iter next open round abs any "
    "all map filter repr type id hasattr getattr super bool format hash reversed vars dir input bytes object slice".split()
)
HARMLESS_METHODS = frozenset(
    "item detach cpu cuda numpy tolist size dim numel mean sum max min argmax to view reshape squeeze unsqueeze float "
    "long int half double bool clone data eq ne lt gt le ge parameters named_parameters state_dict load_state_dict "
    "children named_children modules named_modules apply register_buffer register_hook items keys values get pop append "
    "extend update add insert format join split strip replace startswith endswith lower upper write writerow close flush "
    "add_scalar add_scalars add_image add_images add_histogram add_text add_graph info debug warning error "
    "set_description set_postfix set_postfix_str get_last_lr get_lr parse_args add_argument topk sort softmax sigmoid "
    "log exp abs sqrt pow norm std var transpose permute contiguous repeat expand scatter_ fill_ copy_ zero_ normal_ "
    "uniform_ index_select gather masked_fill type type_as requires_grad_ compile share_memory scale get_scale "
    "is_enabled isnan isinf any all is_available save mkdir exists from_numpy random_split retain_grad dot mm matmul bmm "
    "backward shuffle".split()
)  # of tensors, modules, optimizers, containers, loggers: none of them steps, clears or calls backward
OF_FRAMEWORKS = frozenset(
    "log log_dict print all_gather save_hyperparameters lr_schedulers optimizers toggle_optimizer untoggle_optimizer freeze "
    "unfreeze parameters named_parameters state_dict load_state_dict modules named_modules children to register_buffer apply "
    "clip_gradients manual_backward".split()
)


@dataclass(frozen=True)
class Deed:
    """What a call does: the act, the key of what it is done to, the value that it is about, the scaler that it goes through."""

    act: Act
    subject: str = ""
    value: Value | None = None
    scaler: str = ""


def last_name(key: str) -> str:
    """The last part of a key: "optimizer" of "Trainer.optimizer"."""
    return key.rpartition(".")[2].rpartition(":")[2]


def is_optimizer(key: str, value: Value | None) -> bool:
    """Whether what a key names is an optimizer: it was made as one, or nobody can see how and it is called so."""
    role, _ = role_of(value)
    if role is not None:
        return role is Role.OPTIMIZER
    if value is not None and value.node is not None and of_lightning(value):
        return True
    return bool(OPTIMIZER.search(last_name(key)))


def of_lightning(value: Value) -> bool:
    """Whether a value is what a LightningModule's `optimizers()` gives."""
    call = settled(value).node
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "optimizers"


def is_scaler(key: str, value: Value | None) -> bool:
    """Whether what a key names is a GradScaler."""
    role, _ = role_of(value)
    return role is Role.SCALER or (role is None and bool(SCALER.search(last_name(key))))


def is_scheduler(key: str, value: Value | None) -> bool:
    """Whether what a key names is a scheduler of learning rates."""
    role, _ = role_of(value)
    return role is Role.SCHEDULER or (role is None and bool(SCHEDULER.search(last_name(key))))


def is_criterion(key: str, value: Value | None) -> bool:
    """Whether what a key names is a loss that is called."""
    role, _ = role_of(value)
    return role is Role.CRITERION or (role is None and bool(CRITERION.search(last_name(key))))


def deed_of_method(call: ast.Call, key: str, receiver: Value, whole: Value, *, is_model: bool) -> Deed | None:
    """What a method call does; None if that is not known.

    Args:
        call: the call, of an attribute.
        key: of what it is called on, "" where that has no name.
        receiver: the value of that.
        whole: the value of the call.
        is_model: whether it is called on a module.
    """
    assert isinstance(call.func, ast.Attribute)
    first = whole.of(call.args[0]) if call.args else None
    first_key = whole.key(call.args[0]) if call.args else ""
    match call.func.attr:
        case "backward":
            return backward(call, key, receiver, first)
        case "manual_backward" if first is not None:
            return Deed(Act.BACKWARD, first_key, first)
        case "step":
            return step(call, key, receiver, first_key)
        case "zero_grad":
            return Deed(Act.CLEAR, key)
        case "add_param_group":
            return Deed(Act.PARAMETERS, key)
        case "unscale_" if call.args:
            return Deed(Act.UNSCALE, first_key, scaler=key)
        case "update" if is_scaler(key, receiver):
            return Deed(Act.UPDATE, scaler=key)
        case "eval" if is_model and not call.args:
            return Deed(Act.EVAL, key)
        case "train" if is_model:
            off = bool(call.args) and isinstance(call.args[0], ast.Constant) and not call.args[0].value
            return Deed(Act.EVAL if off else Act.TRAIN, key)
        case "set_epoch":
            return Deed(Act.SET_EPOCH, key)
        case "append" if first is not None and key:
            return Deed(Act.KEEP, key, first)
    return None


def backward(call: ast.Call, key: str, receiver: Value, first: Value | None) -> Deed | None:
    """`loss.backward()`, `scaler.scale(loss).backward()`; not `engine.backward(loss)`, which may do more than that."""
    scaling = settled(receiver)
    scale = scaling.node
    if isinstance(scale, ast.Call) and isinstance(scale.func, ast.Attribute) and scale.func.attr == "scale" and scale.args:
        scaler = scaling.key(scale.func.value)
        if is_scaler(scaler, scaling.of(scale.func.value)):
            return Deed(Act.BACKWARD, scaling.key(scale.args[0]), scaling.of(scale.args[0]), scaler=scaler)
    if first is not None and not receiver.is_known:
        return None
    if first is not None and key and not re.search(r"loss|err|out|l$", last_name(key), re.IGNORECASE):
        return None
    return Deed(Act.BACKWARD, key, receiver)


def step(call: ast.Call, key: str, receiver: Value, first_key: str) -> Deed | None:
    """The step of an optimizer, by itself or by a scaler, or of a scheduler."""
    if is_scaler(key, receiver) and first_key:
        return Deed(Act.STEP, first_key, scaler=key)
    if is_scheduler(key, receiver):
        return Deed(Act.SCHEDULE, key, receiver)
    if is_optimizer(key, receiver):
        return Deed(Act.STEP, key, receiver)
    return None


def deed_of_function(call: ast.Call, whole: Value) -> Deed | None:
    """What the call of an imported function does; None if that is not known."""
    name = full_name(call.func, whole.scope)
    last = name.rpartition(".")[2]
    if not name:
        return None
    first = whole.of(call.args[0]) if call.args else None
    if last in CLIPPING and name.startswith("torch."):
        return Deed(Act.CLIP, value=first)
    if name.startswith("torch.nn.functional.") and last in LOSSES:
        return Deed(Act.LOSS, value=whole)
    if name == "torch.autograd.backward" and first is not None:
        return Deed(Act.BACKWARD, whole.key(call.args[0]), first)
    if name in ("torch.autograd.grad", "torch.func.grad"):
        return Deed(Act.GRADIENT)
    return None


def is_harmless(call: ast.Call, whole: Value) -> bool:
    """Whether a call of what is not followed does nothing to gradients, modes and optimizers that it is given."""
    name = full_name(call.func, whole.scope)
    if name:
        return name.partition(".")[0] in NO_EFFECT
    if isinstance(call.func, ast.Name):
        return call.func.id in BUILT_IN
    return bool(operation(whole)) and isinstance(settled(whole.of(call.func)).node, ast.Call)
