"""Two models side by side: what a change does to a network and to its training. From plain data of reports alone.

pairs(old, new)            reports that belong together, by the model's name
    +-- comparison.compare     figures, layers, gains, and findings that came and went
          +-- layers.changes       which operations are new, gone, or other than before
text.render, page.render, data.render     what goes out
"""
