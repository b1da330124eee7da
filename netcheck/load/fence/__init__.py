"""The fence around user code: what it would write, send, start or train does not happen, and is noted.

    with fence.closed():                         around a whole check; `notes()` afterwards says what was met
        with fence.building():                   while a file is imported or a model is built
            open("log.txt", "w").write(...)      goes to a file of netcheck's own, which is thrown away
            torch.save(state, "trained.pt")      the same
            os.remove("old.pt")                  does nothing
            subprocess.run(["git", "log"])       raises Refused, a PermissionError
            loss.backward()                      raises Halted, which `except Exception` does not catch
        model(x)                                 the same; but here backward() is the model's own computation

    state.py       whether the fence is closed, for which thread, and what was noted
    askers.py      whose code asks: the user's, a library's, or what torch and netcheck themselves need
    places.py      which files may be written all the same
    stand_ins.py   the files that take the place of the user's own
    files.py       open, os.remove, os.mkdir ... answered without an effect
    actions.py     processes, sockets, signals: refused
    training.py    backward, steps of optimizers, what torch writes in C++
    hook.py        an audit hook, for what passes the patches by; in the worker's processes only
    kernel.py      Landlock, for what compiled code writes; the same

Patches are taken back when the fence opens. An audit hook cannot be taken back, so a process of the user's
(`netcheck.check(model)`) gets none: there, what calls compiled code past Python's own functions is not seen.

Reading is free. What may be written: files below a folder that netcheck made for the purpose (where `tempfile` makes its
own); devices such as /dev/null; what a library keeps in a folder for caches (`~/.cache`, `~/.triton`, what TORCH_HOME,
HF_HOME and their like name) or in one of its own name (`~/.config/matplotlib`, `~/.keras`); and what torch's compiler, Triton
and the builds of C++ extensions make.
"""

from netcheck.load.fence.closing import building, close_for_good, closed
from netcheck.load.fence.state import Halted, Refused, excuse, forget, note, notes

__all__ = ["Halted", "Refused", "building", "close_for_good", "closed", "excuse", "forget", "note", "notes"]
