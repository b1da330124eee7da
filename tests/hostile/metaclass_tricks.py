# expect: NC001: reading .* raised RuntimeError
from torch import nn


class Meta(type):
    def __call__(cls, *args, **kwargs):
        raise RuntimeError("not callable")

    def __instancecheck__(cls, instance):
        raise RuntimeError("no instances")

    def __getattribute__(cls, name):
        if name in ("__qualname__", "__mro__", "__module__"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


class Net(nn.Module, metaclass=Meta):
    def forward(self, x):
        return x
