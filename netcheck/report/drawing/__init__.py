"""The network drawn, folded by module. From the plain data of a report; imports no torch, and networkx when something is drawn.

drawing_of(report)
    +-- units.units        operations -> boxes: modules, what repeats with a count, single operations
    +-- marks.marks        what is said of each box: gradient, shape, parameters, dead share, findings
    +-- layout.arranged    boxes and what leads from one to another -> rows, places, ways around
    --> figures.Drawing    one picture for the model, and one for each box that can be opened
"""
