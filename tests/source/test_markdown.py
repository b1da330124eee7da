"""The Python in a README."""

from __future__ import annotations

from netcheck.source import markdown

README = """# Title
```python
import a
x = 1
```
text
```
y = x
```
```python
$ not python
```
~~~ {.python}
  from b import c
  z = c()
~~~
```js
import d
```
```python
unclosed = 3
"""


def test_a_part_begins_where_something_is_imported() -> None:
    first, second = markdown.python_parts(README)
    assert [line for line in first.split("\n") if line] == ["import a", "x = 1", "y = x"]
    assert [line for line in second.split("\n") if line] == ["from b import c", "z = c()"]


def test_lines_keep_their_numbers() -> None:
    (path,) = markdown.parts_of("/there/README.md", README)[:1]
    text = markdown.part(path, README)
    assert text is not None
    assert text.split("\n")[7] == README.split("\n")[7] == "y = x"


def test_names_of_parts() -> None:
    assert markdown.parts_of("/there/README.md", README) == ["/there/README.md[1]", "/there/README.md[2]"]
    assert markdown.file_of("/there/README.md[2]") == "/there/README.md"
    assert markdown.file_of("/there/net.py") == "/there/net.py"
    assert markdown.part("/there/README.md[3]", README) is None
    assert markdown.part("/there/README.md", README) is None
