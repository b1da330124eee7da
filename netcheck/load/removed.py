"""What old code uses that is no longer there, and what to write instead.

from collections import Iterable     collections.Iterable was removed in Python 3.10: write collections.abc.Iterable
import torch._six                    torch._six was removed in torch 2.0: write collections.abc.Mapping, str, math.inf
np.float(x)                          numpy.float was removed in numpy 1.24: write float
xrange(3)                            xrange is Python 2: write range
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

ABSTRACT = (
    "Awaitable", "Callable", "Collection", "Container", "Coroutine", "Generator", "Hashable", "ItemsView", "Iterable", "Iterator",
    "KeysView", "Mapping", "MappingView", "MutableMapping", "MutableSequence", "MutableSet", "Sequence", "Set", "Sized",
    "ValuesView",
)  # fmt: skip
NUMPY = {"float": "float", "int": "int", "bool": "bool", "object": "object", "str": "str", "complex": "complex", "long": "int"}
NUMPY_2 = {
    "float_": "np.float64", "complex_": "np.complex128", "unicode_": "np.str_", "string_": "np.bytes_", "Inf": "np.inf",
    "Infinity": "np.inf", "NaN": "np.nan", "product": "np.prod", "cumproduct": "np.cumprod", "alltrue": "np.all",
    "sometrue": "np.any", "in1d": "np.isin", "row_stack": "np.vstack", "trapz": "np.trapezoid", "asfarray": "np.asarray",
    "cast": "np.asarray(x, dtype)", "mat": "np.asmatrix", "msort": "np.sort(a, axis=0)", "asscalar": "a.item()",
}  # fmt: skip
PYTHON_2 = {
    "xrange": "range", "unicode": "str", "basestring": "str", "long": "int", "raw_input": "input", "reduce": "functools.reduce",
    "unichr": "chr", "cmp": "(a > b) - (a < b)", "execfile": "exec(open(file).read())", "reload": "importlib.reload",
    "file": "open",
}  # fmt: skip
MODULES_2 = {
    "cPickle": "pickle", "StringIO": "io", "cStringIO": "io", "ConfigParser": "configparser", "Queue": "queue",
    "urllib2": "urllib.request", "urlparse": "urllib.parse", "httplib": "http.client", "Tkinter": "tkinter",
    "__builtin__": "builtins", "itertools.izip": "zip", "itertools.imap": "map", "itertools.ifilter": "filter",
    "itertools.izip_longest": "itertools.zip_longest", "string.maketrans": "str.maketrans",
    "string.letters": "string.ascii_letters", "string.lowercase": "string.ascii_lowercase", "sys.maxint": "sys.maxsize",
    "os.getcwdu": "os.getcwd",
    "urllib.urlretrieve": "urllib.request.urlretrieve", "urllib.urlopen": "urllib.request.urlopen",
    "urllib.urlencode": "urllib.parse.urlencode", "urllib.quote": "urllib.parse.quote",
}  # fmt: skip
SINCE = {
    "torch._six": ("torch 2.0", "collections.abc.Mapping, str, int, math.inf"),
    "torch.utils.ffi": ("torch 1.0", "torch.utils.cpp_extension"),
    "torch.legacy": ("torch 1.0", "torch.nn"),
    "torch.testing.make_tensor": ("torch 1.12", "torch.testing.make_tensor of a new version"),
    "torch.rfft": ("torch 1.8", "torch.fft.rfft"),
    "torch.irfft": ("torch 1.8", "torch.fft.irfft"),
    "torch.ifft": ("torch 1.8", "torch.fft.ifft"),
    "torch.gels": ("torch 1.2", "torch.linalg.lstsq"),
    "torch.lstsq": ("torch 2.0", "torch.linalg.lstsq"),
    "torch.eig": ("torch 2.0", "torch.linalg.eig"),
    "torch.symeig": ("torch 2.0", "torch.linalg.eigh"),
    "torch.solve": ("torch 2.0", "torch.linalg.solve"),
    "torch.matrix_rank": ("torch 2.0", "torch.linalg.matrix_rank"),
    "torch.potrf": ("torch 1.2", "torch.linalg.cholesky"),
    "torch.btrifact": ("torch 1.2", "torch.linalg.lu_factor"),
    "torch.nn.backends": ("torch 1.4", "torch.nn.functional"),
    "torch.nn.functional.upsample_bilinear": ("torch 2.0", "torch.nn.functional.interpolate"),
    "torch.onnx.symbolic_registry": ("torch 1.13", "torch.onnx.register_custom_op_symbolic"),
    "torch.autograd.gradcheck.zero_gradients": ("torch 1.9", "x.grad = None"),
    "torch.cuda.amp.autocast_mode._cast": ("torch 2.4", "torch.amp"),
    "torchvision.models.utils": ("torchvision 0.13", "torch.hub.load_state_dict_from_url"),
    "torchvision.models.resnet.model_urls": ("torchvision 0.13", "ResNet18_Weights.DEFAULT.url"),
    "torchvision.models.vgg.model_urls": ("torchvision 0.13", "VGG16_Weights.DEFAULT.url"),
    "torchvision.models.densenet.model_urls": ("torchvision 0.13", "DenseNet121_Weights.DEFAULT.url"),
    "torchvision.transforms.Scale": ("torchvision 0.12", "torchvision.transforms.Resize"),
    "torchvision.transforms.RandomSizedCrop": ("torchvision 0.12", "torchvision.transforms.RandomResizedCrop"),
    "torchtext.legacy": ("torchtext 0.12", "torchtext of a new version"),
    "timm.models.layers": ("timm 0.9", "timm.layers"),
    "timm.models.efficientnet_blocks": ("timm 0.9", "timm.models._efficientnet_blocks"),
    "timm.models.efficientnet_builder": ("timm 0.9", "timm.models._efficientnet_builder"),
    "scipy.misc.imread": ("scipy 1.2", "imageio.imread"),
    "scipy.misc.imsave": ("scipy 1.2", "imageio.imwrite"),
    "scipy.misc.imresize": ("scipy 1.3", "skimage.transform.resize"),
    "scipy.misc.logsumexp": ("scipy 1.3", "scipy.special.logsumexp"),
    "PIL.Image.ANTIALIAS": ("Pillow 10", "PIL.Image.LANCZOS"),
    "sklearn.externals.joblib": ("scikit-learn 0.23", "joblib"),
    "sklearn.cross_validation": ("scikit-learn 0.20", "sklearn.model_selection"),
    "keras.utils.np_utils": ("keras 2.13", "keras.utils"),
    "fractions.gcd": ("Python 3.9", "math.gcd"),
    "time.clock": ("Python 3.8", "time.perf_counter"),
    "inspect.getargspec": ("Python 3.11", "inspect.getfullargspec"),
    "asyncio.coroutine": ("Python 3.11", "async def"),
    "imp": ("Python 3.12", "importlib"),
    "distutils": ("Python 3.12", "setuptools"),
    "asyncore": ("Python 3.12", "asyncio"),
    **{f"collections.{name}": ("Python 3.10", f"collections.abc.{name}") for name in ABSTRACT},
    **{f"numpy.{name}": ("numpy 1.24", instead) for name, instead in NUMPY.items()},
    **{f"numpy.{name}": ("numpy 2.0", instead) for name, instead in NUMPY_2.items()},
}


def told(dotted: str) -> str:
    """What became of a module or of something in one, "" if nothing is known of that.

    Args:
        dotted: "collections.Iterable"; a module that was removed answers for all in it.
    """
    if dotted in PYTHON_2 or dotted in MODULES_2:
        return f"{dotted} is Python 2: write {(PYTHON_2 | MODULES_2)[dotted]}"
    while dotted:
        if dotted in SINCE:
            version, instead = SINCE[dotted]
            return f"{dotted} was removed in {version}: write {instead}"
        dotted = dotted.rpartition(".")[0]
    return ""


def cause(error: BaseException) -> str:
    """What an exception says of something that was removed, in these words; "" if it does not."""
    return next(filter(None, map(told, names(error))), "")


def names(error: BaseException) -> Iterator[str]:
    """The dotted names that an exception misses."""
    name = getattr(error, "name", None) or ""
    if isinstance(error, ModuleNotFoundError):
        yield name
    elif isinstance(error, ImportError):
        missing = getattr(error, "name_from", None) or str(error).partition("cannot import name '")[2].partition("'")[0]
        yield f"{name}.{missing}"
    elif isinstance(error, AttributeError):
        holder = error.obj
        yield f"{holder.__name__}.{name}" if isinstance(holder, ModuleType) else ""
    elif isinstance(error, NameError):
        yield name if name in PYTHON_2 else ""
