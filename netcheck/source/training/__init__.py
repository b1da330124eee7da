"""How a file trains its models, read off its syntax: nothing is executed. Imports no torch.

    reading.read(file) -> TrainingFile
      +-- walk.Walk          follows a program statement by statement, into the file's own functions and methods
      |     +-- calls.act_of     what a call does in a training step: backward, step, zero_grad, ...
      |     +-- values           what a name holds there: an optimizer, a loss, a softmax of something
      +-- Course             the acts of one way through the file, in their order, with the loops and branches around them
            +-- steps.training_loops    the loops that step, with their acts
            +-- seam.seam_of            the loss and the optimizer of a model, as constants say them

    for x, y in loader:                      Event(CLEAR, "optimizer")
        optimizer.zero_grad()                Event(FORWARD, "model")
        loss = criterion(model(x), y)        Event(LOSS, "criterion")
        loss.backward()                      Event(BACKWARD, "loss")
        optimizer.step()                     Event(STEP, "optimizer")

What cannot be seen (a function of another file that is given the optimizer, a method that is inherited) is an `Event(CALL)` with
what it is given, and who asks keeps silent where that could be the answer.
"""
