"""What the HTML report is made of. Imports no torch, and jinja2 when a page is rendered.

html.render()  +-- views.page_of       reports -> what the page says, as plain data
                    +-- source.lines_at     a place -> lines with the marked part
                    +-- outline.outline     layers -> the tree of modules, alike siblings together
                    +-- charts.profile      measured profile -> points of a drawing
                    +-- memory.figures      cost -> bars and rows
                    +-- markup.to_html      a rule's documentation -> HTML
                    +-- terms.views         what the words mean; terms.linked: a sentence with links to that
               +-- report.html.jinja, style.css, script.js
"""
