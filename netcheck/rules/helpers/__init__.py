"""What several rules say or judge alike; what they ask of a graph is in `netcheck.trace.questions`."""
