"""Random nets: a grammar of what people write with PyTorch, from which a seed draws the source of a net.

    compose(17)                       the source of net 17: a class Net, and a function inputs() -> (args, kwargs)
    python -m tests.random_nets 17    prints it, checks it, and says what does not hold

    layers       every layer of torch.nn, found by walking it; arguments of constructors by their names
    functions    functional, method, in-place and torch.* forms, a line each
    wiring       branches and merges, shared layers, containers
    around       checkpoints, autocast, hooks, parametrizations; functions of the user's own, scripts
    flow         control flow, state that forward leaves behind, transforms
    precision    dtypes other than float32, complex, sparse, quantized and empty tensors
    forms        what forward takes and returns

`grammar` makes nets of all that (`writing`: a source as it grows), `eager` asks PyTorch about one, and `oracle` says what must
hold of netcheck on it (`traces`: that nothing was changed).
"""

from tests.random_nets.grammar import compose

__all__ = ["compose"]
