"""The traced model: a torch.fx graph whose nodes know their kind, shape, module and place in the source.

    nn.Sequential(nn.Linear(8, 4), nn.Tanh())        on a (2, 8) tensor

    name     op           target  kind         shape    path   called_at       built_at
    input    placeholder  input   INPUT        (2, 8)
    _0       call_module  0       LINEAR       (2, 4)   "0"    container.py    model.py:1
    _1       call_module  1       ACTIVATION   (2, 4)   "1"    container.py    model.py:1
    output   output       output  OUTPUT

`Node` wraps one torch.fx node; `ModelGraph` holds them in the order in which forward ran them.
"""

from __future__ import annotations
