"""Example inputs from the model alone: run it on fake tensors, read what it asks for, try again.

signature.propose      forward's signature, names and annotations        -> a first Proposal
probe.Probe.run        a Proposal -> Outcome: how far it got, which call or check failed, what the inputs met
demands.of_call        the failing torch call   -> Demands ("axis 1 of this operand must be 3")
checks.of_frame        the failing Python check -> Demands (reads `assert x.shape[1] == self.size`)
repairs.repairs        Demands -> further Proposals
search.search          best first: the Proposal that got furthest is repaired next
"""
