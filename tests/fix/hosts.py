"""Files of real models to put faults into: torchvision's, timm's and transformers' own source, copied so that each stands alone,
and the files of the lecture.

    host = HOSTS[0]; file = host.copied(folder)      a file below the folder, whose `host.symbol` builds the model

What a copy imports relatively it imports from the installed package instead. A loop that trains the model is appended.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

LECTURE = Path(__file__).parents[2] / "examples" / "lecture"
OPERATORS = '''"""What torchvision's import needs where its compiled part does not load."""
import sys

import torch
from torch.library import define

if torch.version.cuda is None and "torchvision" not in sys.modules:
    for name in ("nms", "qnms"):
        define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
'''
LOOP = """

def train_on(loader, held_out):
    model = {make}
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    for epoch in range(3):
        model.train()
        running_loss = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            output = model(images)
            loss = criterion(output, labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            running_loss += loss.item()
        scheduler.step()
        model.eval()
        right = 0
        with torch.no_grad():
            for images, labels in held_out:
                right += (model(images).argmax(1) == labels).sum().item()
        print(epoch, running_loss, right)
"""


@dataclass(frozen=True)
class Host:
    """A file of models.

    Attributes:
        module: the installed module, "torchvision.models.resnet"; of the lecture, its name alone.
        symbol: what builds the model in it.
        inputs: as `--input` takes them.
        more: text that is appended, which may define the symbol.
    """

    module: str
    symbol: str
    inputs: tuple[str, ...] = ("2x3x64x64",)
    more: str = ""

    @property
    def name(self) -> str:
        return f"{self.module}:{self.symbol}"

    def text(self) -> str:
        """The file's text."""
        return alone(self.module) + self.more + LOOP.format(make=f"{self.symbol}()" if not self.more else self.symbol)

    def folder(self, below: Path) -> Path:
        """Where the file lies, with what it imports: what torchvision's models import from each other is copied with it."""
        folder = below / self.module.replace(".", "_")
        if not folder.exists():
            folder.mkdir()
            (folder / "operators.py").write_text(OPERATORS)
            for helper in ("_api", "_meta", "_utils") if self.module.startswith("torchvision.") else ():
                (folder / f"{helper}.py").write_text(alone(f"torchvision.models.{helper}"))
        return folder

    def file(self, below: Path) -> Path:
        """The file in its folder."""
        return self.folder(below) / f"{self.module.rpartition('.')[2]}.py"


@cache
def alone(module: str) -> str:
    """The source of a module of models, which imports nothing relatively; torchvision's helpers stand beside it."""
    if "." not in module:
        return (LECTURE / f"{module}.py").read_text()
    top, _, rest = module.partition(".")
    spec = find_spec(top)
    assert spec is not None
    assert spec.submodule_search_locations
    text = Path(spec.submodule_search_locations[0], *rest.split(".")).with_suffix(".py").read_text()
    tree, lines, package = ast.parse(text), text.split("\n"), module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            beside = top == "torchvision" and node.level == 1 and (node.module or "").startswith("_")
            owner = "" if beside else ".".join(package[: len(package) - node.level + 1])
            old = f"from {'.' * node.level}{node.module or ''} import"
            assert old in lines[node.lineno - 1], lines[node.lineno - 1]
            new = f"from {'.'.join(filter(None, (owner, node.module)))} import"
            lines[node.lineno - 1] = lines[node.lineno - 1].replace(old, new)
    imports = [one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
    first = next((one.lineno for one in imports if getattr(one, "module", "") != "__future__"), 1)
    lines.insert(first - 1, "import operators")
    return "\n".join(lines)


def vision(name: str, symbol: str, *inputs: str) -> Host:
    """A model of torchvision's."""
    return Host(f"torchvision.models.{name}", symbol, inputs or ("2x3x64x64",))


def timm(name: str, symbol: str, *inputs: str) -> Host:
    """A model of timm's."""
    return Host(f"timm.models.{name}", symbol, inputs or ("2x3x64x64",))


def language(name: str, model: str, config: str, *inputs: str) -> Host:
    """A model of transformers', built from a small configuration."""
    return Host(f"transformers.models.{name}.modeling_{name}", "model", inputs, f"\n\nmodel = {model}({config})\n")


SMALL = "hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64"
IDS = "input_ids=long[4,99]:2x16"
PIXELS = "pixel_values=2x3x32x32"
LESSONS = {  # the healthy nets of the lecture
    "batch_norm": "NormalizedSmallWeights", "crelu": "CReLUHeStack", "dropconnect": "GentleStack", "dropout": "SpatialDropout",
    "layer_norm": "NormalizedReLUs", "leaky_relu": "LeakyHeStack", "looks_linear": "LooksLinearStack", "maxout": "MaxoutNet",
    "relu": "HeStack", "residual_block": "ResNet", "tanh_stack": "XavierStack", "data_parallel": "Toy",
}  # fmt: skip
HOSTS = (
    vision("resnet", "resnet18"),
    vision("squeezenet", "squeezenet1_1"),
    vision("mobilenetv2", "mobilenet_v2"),
    vision("shufflenetv2", "shufflenet_v2_x0_5"),
    vision("mnasnet", "mnasnet0_5"),
    vision("vgg", "vgg11_bn"),
    vision("densenet", "densenet121"),
    vision("alexnet", "alexnet", "2x3x224x224"),
    vision("googlenet", "googlenet", "2x3x128x128"),
    vision("vision_transformer", "vit_b_16", "2x3x224x224"),
    timm("resnet", "resnet10t"),
    timm("dla", "dla46_c"),
    timm("starnet", "starnet_s050"),
    timm("vovnet", "vovnet39a"),
    timm("senet", "legacy_seresnet18"),
    timm("sknet", "skresnet18"),
    timm("mlp_mixer", "mixer_s32_224", "2x3x224x224"),
    timm("pit", "pit_ti_224", "2x3x224x224"),
    timm("cait", "cait_xxs24_224", "2x3x224x224"),
    timm("convmixer", "convmixer_768_32", "2x3x56x56"),
    language("bert", "BertModel", f"BertConfig(vocab_size=99, {SMALL})", IDS),
    language("gpt2", "GPT2Model", "GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4)", IDS),
    language(
        "distilbert", "DistilBertModel", "DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=64)", IDS
    ),
    language("vit", "ViTModel", f"ViTConfig({SMALL}, image_size=32, patch_size=8)", PIXELS),
    language("resnet", "ResNetModel", "ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1])", PIXELS),
    *(Host(name, symbol, ()) for name, symbol in LESSONS.items()),
)
