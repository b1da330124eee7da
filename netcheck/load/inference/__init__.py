"""Example inputs from the model alone: run it on fake tensors, read what it asks for, try again.

    signature.propose      forward's signature, names and annotations        -> a first Proposal
    probe.Probe.run        a Proposal -> Outcome: how far it got, what failed, what the inputs met
    operations.of_call     the failing torch call   -> Demands ("axis 1 of this operand must be 3")
    checks.of_error        the failing Python check -> Demands (reads `assert x.shape[1] == self.size`)
    repairs.repairs        Demands -> further Proposals
    search.search          best first: the Proposal that got furthest is repaired next

No model is known by name: all that counts is what forward does with what it is given.
"""
