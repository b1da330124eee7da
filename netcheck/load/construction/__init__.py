"""Arguments for a constructor that needs some: the twin of `netcheck.load.inference`.

class Net(nn.Module):
    def __init__(self, in_channels, widths, act, cfg): ...

ways     Net(3, [64, 128], nn.ReLU, cfg), as train.py:40 does     what the source shows, made live
guesses  in_channels=3, widths=[64, 64], act=nn.ReLU              by annotation, by use, by name, where it does not
repairs  widths=[64, 64, 64]                                      IndexError: list index out of range

live.py            values of `netcheck.source.construction` as objects
given.py           one argument: how it is made, how it is written, who says so
configuration.py   an object of options that answers what nobody said with a guess
guesses.py         what an argument may be
plans.py           all arguments of one try
repairs.py         what is raised -> other plans
search.py          plans are tried, the one that got furthest first, until one builds a model that runs
"""
