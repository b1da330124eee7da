from enum import StrEnum
class Kind(StrEnum):
    UNKNOWN="unknown"
def classify(g): pass
def f(): pass
