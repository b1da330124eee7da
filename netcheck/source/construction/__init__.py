"""How a project builds a class: what stands in its calls, followed to values as far as the source leads. Imports no torch.

train.py    parser.add_argument("--hidden", type=int, default=16)
            args = parser.parse_args()
            model = GCN(nfeat=features.shape[1], nhid=args.hidden, nclass=7)

ways(".../models.py", "GCN")   [Way(train.py:3, nfeat=Unknown(features.shape.1), nhid=16, nclass=7)]

project.py     the files of a project, and where they call what
bindings.py    what a name is assigned in a scope, and under which conditions
values.py      what an expression comes to: plain data, a class, a call to be made, a record of options, or Unknown
evaluate.py    expressions -> values
evaluation.py  what the others see of that
calls.py       what calls of known functions come to: int(...), yaml.load(...), parser.parse_args()
options.py     argparse, click, typer, absl and the like: the defaults of options
settings.py    YAML, JSON and TOML files of the project
ways.py        the calls of one class, the best understood first
uses.py        what a constructor does with each of its parameters
"""
