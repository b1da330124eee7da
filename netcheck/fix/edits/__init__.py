"""One file a kind of edit; each class in them is found by the codes of the rules that it mends."""
