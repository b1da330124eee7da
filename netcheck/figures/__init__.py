"""What was measured: plain data with units, which a report holds and every format shows. Imports no torch.

decades.py      gains, in powers of ten
gradients.py    what the probe saw
cost.py         what a training step costs
batches.py      how a batch splits over devices
"""
