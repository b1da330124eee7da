"""Scripts that write, send, start or train something when they are looked at, by name.

A comment `# out: words` stands on each line that the report must name, with words of the reason. Every script defines
the model `Net` with one linear layer of 4 inputs, or a factory `make` of it.
"""

from __future__ import annotations

import textwrap

HEAD = """\
import torch
from torch import nn
"""
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)
"""
# One statement each; it is tried at the top, in `main()`, in `__init__` and in forward.
WRITES = {
    "open": "open('out.txt', 'w').write('x')  # out: writes out.txt",
    "append": "open('kept.txt', 'a').write('x')  # out: writes kept.txt",
    "update": "open('kept.txt', 'r+').write('x')  # out: writes kept.txt",
    "exclusive": "open('out.txt', 'x').close()  # out: writes out.txt",
    "keyword": "open(file='out.txt', mode='wb').close()  # out: writes out.txt",
    "path": "__import__('pathlib').Path('out.txt').write_text('x')  # out: writes out.txt",
    "touch": "__import__('pathlib').Path('out.txt').touch()  # out: writes out.txt",
    "io": "__import__('io').open('out.txt', 'w').close()  # out: writes out.txt",
    "fileio": "__import__('io').FileIO('kept.txt', 'w')  # out: writes kept.txt",
    "descriptor": "os.open('kept.txt', os.O_WRONLY | os.O_TRUNC)  # out: writes kept.txt",
    "create": "os.close(os.open('out.txt', os.O_RDWR | os.O_CREAT))  # out: writes out.txt",
    "remove": "os.remove('kept.txt')  # out: deletes kept.txt",
    "unlink": "__import__('pathlib').Path('kept.txt').unlink()  # out: deletes kept.txt",
    "fetched_before": "remove('kept.txt')  # out: deletes kept.txt",
    "rename": "os.rename('kept.txt', 'moved.txt')  # out: renames kept.txt",
    "replace": "os.replace('kept.txt', 'moved.txt')  # out: renames kept.txt",
    "move": "__import__('shutil').move('kept.txt', 'moved.txt')  # out: renames kept.txt",
    "copy": "__import__('shutil').copy('kept.txt', 'copied.txt')  # out: writes copied.txt",
    "rmtree": "__import__('shutil').rmtree('kept')  # out: deletes kept",
    "mkdir": "os.mkdir('made')  # out: makes made",
    "makedirs": "os.makedirs('made/deep', exist_ok=True)  # out: makes made",
    "truncate": "os.truncate('kept.txt', 0)  # out: cuts kept.txt",
    "chmod": "os.chmod('kept.txt', 0)  # out: changes kept.txt",
    "utime": "os.utime('kept.txt', (0, 0))  # out: changes kept.txt",
    "symlink": "os.symlink('kept.txt', 'link')  # out: makes link",
    "link": "os.link('kept.txt', 'link')  # out: makes link",
    "fifo": "os.mkfifo('pipe')  # out: makes pipe",
    "save": "torch.save({'a': 1}, 'kept.pt')  # out: torch.save writes kept.pt",
    "jit": "torch.jit.save(torch.jit.script(nn.ReLU()), 'kept.pt')  # out: torch.jit.save writes kept.pt",
    "numpy": "numpy.save('out.npy', numpy.zeros(3))  # out: writes out.npy",
    "archive": "numpy.savez('out.npz', a=numpy.zeros(3))  # out: writes out.npz",
    "tofile": "numpy.zeros(3).tofile('out.bin')  # out: writes out.bin",
    "memmap": "numpy.memmap('out.bin', mode='w+', shape=(3,))[:] = 1  # out: writes out.bin",
    "sqlite": "__import__('sqlite3').connect('out.db').execute('create table a (b)')  # out: writes out.db",
    "log": "__import__('logging').FileHandler('out.log')  # out: writes out.log",
    "zip": "__import__('zipfile').ZipFile('out.zip', 'w').close()  # out: writes out.zip",
}
ACTIONS = {
    "run": "subprocess.run(['touch', 'out.txt'])  # out: starts a process: touch out.txt",
    "output": "subprocess.check_output('touch out.txt', shell=True)  # out: starts a process: touch out.txt",
    "system": "os.system('touch out.txt')  # out: starts a process: touch out.txt",
    "popen": "os.popen('touch out.txt').read()  # out: starts a process: touch out.txt",
    "spawn": "os.posix_spawn('/bin/touch', ['touch', 'out.txt'], {})  # out: starts a process",
    "fork": "os.fork()  # out: starts a process",
    "process": "__import__('multiprocessing').Process(target=print).start()  # out: starts a process",
    "pool": "__import__('multiprocessing').get_context('fork').Pool(1)  # out: starts a process",
    "executor": "__import__('concurrent.futures').futures.ProcessPoolExecutor(1).submit(print)  # out: starts a process",
    "connect": "__import__('socket').create_connection(('127.0.0.1', 9))  # out: opens a connection: 127.0.0.1:9",
    "bind": "__import__('socket').socket().bind(('127.0.0.1', 0))  # out: opens a connection",
    "datagram": "__import__('socket').socket(2, 2).sendto(b'x', ('127.0.0.1', 9))  # out: opens a connection",
    "look_up": "__import__('socket').getaddrinfo('example.com', 80)  # out: opens a connection: example.com",
    "url": "__import__('urllib.request').request.urlopen('http://example.com')  # out: opens a connection: example.com",
    "mail": "__import__('smtplib').SMTP('example.com')  # out: opens a connection: example.com",
    "group": "torch.distributed.init_process_group('gloo', rank=0, world_size=2)  # out: opens connections",
    "kill": "os.kill(os.getppid(), 9)  # out: sends a signal",
    "killpg": "os.killpg(0, 15)  # out: sends a signal",
    "browser": "__import__('webbrowser').open('http://example.com')  # out: opens a page in a browser",
}
IMPORTS = "import os\nimport subprocess\nimport numpy\nfrom os import remove\n"


def at_top(statement: str) -> str:
    """Between the class and a variable."""
    return f"{HEAD}{IMPORTS}{NET}\n{statement}\nmodel = Net()\n"


def in_main(statement: str) -> str:
    """In a function that is called when the file is imported."""
    return f"{HEAD}{IMPORTS}{NET}\ndef main():\n    model = Net()\n    {statement}\n\nmain()\n"


def in_init(statement: str) -> str:
    """While the model is built."""
    return HEAD + IMPORTS + NET.replace("self.fc =", f"{statement}\n        self.fc =")


def in_forward(statement: str) -> str:
    """While the model runs."""
    return HEAD + IMPORTS + NET.replace("return self", f"{statement}\n        return self")


TRAINING = {
    "loop": """
        model = Net()
        for step in range(10**9):  # out: trains
            model(torch.randn(2, 4)).sum().backward()
        """,
    "unguarded_main": """
        def main():
            model = Net()
            while True:
                model(torch.randn(2, 4)).sum().backward()

        main()  # out: trains
        """,
    "two_functions_down": """
        def step(model):
            model(torch.randn(2, 4)).sum().backward()

        def main():
            while True:
                step(Net())

        main()  # out: trains
        """,
    "hidden_backward": """
        from helper import train

        model = Net()
        train(model)  # out: trains: backward()
        """,
    "catches_everything": """
        from helper import train_for_ever

        train_for_ever(Net())  # out: trains: backward()
        """,
    "optimizer": """
        from helper import steps

        model = Net()
        steps(model)  # out: trains: Adam.step()
        """,
    "function": """
        run = torch.autograd.backward

        def main():
            run(Net()(torch.randn(2, 4)).sum())

        main()  # out: trains: backward()
        """,
    "environment": """
        while True:  # out: takes longer than 2 s
            torch.randn(3)
        """,
    "environment_in_main": """
        def main():
            model = Net()
            while True:
                model(torch.randn(2, 4))

        main()  # out: takes longer than 2 s
        """,
    "sleeps": """
        import time

        time.sleep(10_000)  # out: takes longer than 2 s
        """,
    "after_the_loop": """
        model = Net()
        for step in range(10**9):  # out: trains
            loss = model(torch.randn(2, 4)).sum()
            loss.backward()
        print(loss.item())  # out: needs loss, which was left out
        torch.save(model.state_dict(), "kept.pt")  # out: torch.save writes kept.pt
        model.load_state_dict(torch.load("kept.pt"))
        """,
    "in_init": """
        class Pretrained(Net):
            def __init__(self):
                super().__init__()
                self.train_a_little()  # out: trains: backward()
                self.ready = True

            def train_a_little(self):
                for step in range(10**9):
                    self(torch.randn(2, 4)).sum().backward()
        """,
    "in_a_factory": """
        from helper import train

        def make() -> nn.Module:
            net = Net()
            train(net)  # out: trains: backward()
            return net
        """,
    "in_a_thread": """
        import threading
        from helper import train

        threading.Thread(target=train, args=(Net(),), daemon=True).start()
        """,
    "in_an_import": """
        import trains_itself
        """,
}
HELPER = """
import torch

def train(model):
    for _ in range(10**9):
        getattr(model(torch.randn(2, 4)).sum(), "back" + "ward")()

def train_for_ever(model):
    while True:
        try:
            train(model)
        except Exception:
            pass

def steps(model):
    optimizer = torch.optim.Adam(model.parameters())
    while True:
        optimizer.step()
"""


PLACES = (at_top, in_main, in_init, in_forward)


def everywhere() -> dict[str, str]:
    """Each statement at each place, by file name without its ending."""
    return {
        f"{place.__name__}_{name}": place(statement)
        for name, statement in {**WRITES, **ACTIONS}.items()
        for place in PLACES
        if (name, place) != ("jit", in_forward)  # what is traced cannot be scripted meanwhile
    }


def some() -> dict[str, str]:
    """Each statement at one of the places in turn, and all that train."""
    every = everywhere()
    turns = (
        (f"{PLACES[turn % 4].__name__}_{name}", turn) for turn, name in enumerate({**WRITES, **ACTIONS}, start=1) if name != "jit"
    )
    chosen = {name: every[name] for name, _ in turns}
    return chosen | {f"trains_{name}": HEAD + NET + textwrap.dedent(text) for name, text in TRAINING.items()}
