"""From a target to a live model and inputs on which it runs."""

from netcheck import torch_versions as torch_versions  # before all that uses torch: a torch that lacks something is told of here
