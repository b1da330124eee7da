"""What rules ask of a graph, each question in a module that is named for it. Nothing here judges; importing it imports no torch.

batch_dimension   is the first dimension of this value the batch?
channels          along which dimension does this layer mix, and does another mix all that it made?
cuts              what keeps every gradient from this layer?
dropouts          how much does this node drop, and when?
forget_gates      where are the forget gates, and with what bias?
linear_pairs      which weight layers make one linear map together?
neighbours        what comes before and behind a node, through what changes nothing?
ranges            between which bounds do this node's values lie?
readers           which operation reads this dimension?
softmaxes         over which dimension does this softmax go?
unit_moments      what mean and deviation do a layer's units have, by its weights alone?
"""
