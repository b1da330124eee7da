"""Reports of checks that need not be made again, in files. Imports no torch.

    key = what a report depends on:   the model's file and what it imports of the same tree, byte for byte
                                      the settings, the seed, the weights
                                      how the project builds its class, if that needs arguments
                                      netcheck, Python, every installed package, the accelerators
    file = MAGIC, sha256 of the rest, the report

A file is written at once, under a name that only its content has, so several runs may share a folder. One that is damaged
counts as not there. What a check reads besides (a data file, the network, the clock) is not in the key.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import netcheck
from netcheck.atomic import replace_file
from netcheck.findings import Finding, Report
from netcheck.load.raised import is_installed
from netcheck.settings import OPTIONS, Settings
from netcheck.source.construction.evidence import evidence
from netcheck.source.dependencies import dependencies, place_of_package
from netcheck.source.targets import Target
from netcheck.worker.frames import PlainUnpickler

MAGIC = b"netcheck report 1\n"
DIGEST = 32  # bytes
MOST_FILES = 4096
MOST_BYTES = 256 * 2**20
CHANGING = re.compile(r"File|Directory|OSError|IOError|Permission|Connection|URLError|Timeout|Memory|stopped|left out")
PASSING = ("NC006", "NC007", "NC008")  # with one of these another run may say something else
ENVIRONMENT = ("PYTHONPATH", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "PYTORCH_ENABLE_MPS_FALLBACK")


class Cache:
    """A folder of reports."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made when the first report is stored."""
        self.folder = folder
        self.stored = False

    def key(self, target: Target, settings: Settings) -> str:
        """What the report on a target depends on, as a name for a file; "" if that cannot be told."""
        if not target.file or not os.path.isfile(target.file):
            return ""
        digest = hashlib.sha256()
        for part in (*surroundings(), *asked(target, settings), *sources(target.file), *built_from(target)):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def key_of_training(self, file: str, settings: Settings) -> str:
        """The same for how a file trains: what it imports may define the classes that it derives from."""
        digest = hashlib.sha256(b"how it trains")
        for part in (*surroundings(), *asked(Target(file, ""), settings), *sources(file)):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def training(self, file: str, settings: Settings, read: Callable[[], Report]) -> Report:
        """How a file trains: as it was read before, if nothing has changed, else as it is `read` now."""
        key = self.key_of_training(file, settings)
        report = self.load(key)
        if report is None:
            report = read()
            if not any(found.code in PASSING for found in report):
                self.keep(key, report)
        return report

    def load(self, key: str) -> Report | None:
        """The report with a key, if there is a whole one."""
        file = self.folder / key
        try:
            content = file.read_bytes()
            digest, data = content[len(MAGIC) :][:DIGEST], content[len(MAGIC) + DIGEST :]
            if not content.startswith(MAGIC) or hashlib.sha256(data).digest() != digest:
                return None
            report = PlainUnpickler(BytesIO(data)).load()
        except Exception:  # it is not there, or was written by another version
            return None
        with contextlib.suppress(OSError):
            os.utime(file)  # what is used is kept longest
        return report if isinstance(report, Report) else None

    def store(self, key: str, report: Report) -> None:
        """Keep a report, if another run would say the same; without a word if that cannot be done."""
        if key and is_lasting(report):
            self.keep(key, report)

    def keep(self, key: str, report: Report) -> None:
        """Write a report, without a word if that cannot be done."""
        with contextlib.suppress(OSError, pickle.PicklingError, TypeError, AttributeError):
            data = pickle.dumps(report, protocol=pickle.HIGHEST_PROTOCOL)
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(str(self.folder / key), MAGIC + hashlib.sha256(data).digest() + data)
            self.stored = True

    def prune(self) -> None:
        """Once something was stored: remove what was not used for longest, if there is too much."""
        if not self.stored:
            return
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            files = [(one.stat().st_mtime, one.stat().st_size, one.path) for one in entries if one.is_file()]
            size = sum(one[1] for one in files)
            if len(files) <= MOST_FILES and size <= MOST_BYTES:
                return
            for number, (_, bytes_here, path) in enumerate(sorted(files)):
                if len(files) - number <= MOST_FILES // 2 and size <= MOST_BYTES // 2:
                    return
                with contextlib.suppress(OSError):
                    os.unlink(path)
                size -= bytes_here


def opened(settings: Settings) -> Cache | None:
    """The cache that the settings ask for."""
    return Cache(settings.cache_dir or default_folder()) if settings.cache else None


def default_folder() -> Path:
    """Where this system keeps what can be made anew."""
    home = Path.home() if os.path.expanduser("~") != "~" else Path(os.curdir)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(home / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(home / ".cache")
    return Path(base) / "netcheck"


def is_lasting(report: Report) -> bool:
    """Whether another run would say the same: a model that was checked, or that only needs arguments, or a file that cannot be
    imported for a reason that has nothing to do with other files, the network or memory.
    """
    codes = {found.code for found in report}
    if report.summary is not None:
        return not codes.intersection(PASSING)
    return bool(codes or report.skipped) and all(found.code == "NC002" or is_lasting_failure(found) for found in report)


def is_lasting_failure(found: Finding) -> bool:
    """Whether an import will fail in the same way as long as no file and no package has changed."""
    is_import = found.code == "NC001" and (found.message.startswith("importing ") or "is not installed" in found.message)
    return is_import and not CHANGING.search(f"{found.message} {found.evidence.text}")


def asked(target: Target, settings: Settings) -> Iterable[bytes]:
    """What was asked for: the target as it was named, and the settings that findings depend on."""
    yield repr((os.getcwd(), target, target.texts, target.before)).encode("utf-8", "surrogateescape")
    yield repr((settings.root, settings.tells_cost)).encode("utf-8", "surrogateescape")
    for name, one in OPTIONS.items():
        if one.result:
            yield f"{name}={getattr(settings, name)!r}".encode("utf-8", "surrogateescape")
    own, _ = settings.of_model(target.file, target.symbol, target.module)
    if own.weights is not None:
        yield stamp(str(own.weights))


def sources(file: str) -> Iterable[bytes]:
    """The content of a model's file and of what it imports; of packages elsewhere, which version they are."""
    if is_installed(file):  # its package has a version
        yield content_of(file)
        return
    files, packages = dependencies(file)
    for path in files:
        yield path.encode("utf-8", "surrogateescape")
        yield content_of(path)
    for name in packages:
        yield name.encode()
        yield foreign(name)


def built_from(target: Target) -> Iterable[bytes]:
    """How the project builds a class that needs arguments: files that the model's own does not import may say so."""
    for part in evidence(os.path.abspath(target.file), target.symbol):
        yield part.encode("utf-8", "surrogateescape")


def content_of(path: str) -> bytes:
    """The digest of a file's content."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return str(error.errno).encode()


@cache
def foreign(name: str) -> bytes:
    """A package that is neither in the tree nor installed (it is in an editable install): when its files changed."""
    place = place_of_package(name)
    if not place or not os.path.isfile(place) or is_installed(place):
        return b""
    return tree_stamp(os.path.dirname(place)) if os.path.basename(place) == "__init__.py" else stamp(place)


@cache
def surroundings() -> tuple[bytes, ...]:
    """What all reports of a run depend on: netcheck itself, Python, installed packages, accelerators."""
    own = os.path.dirname(os.path.abspath(netcheck.__file__ or __file__))
    folders = sorted({path for path in sys.path if path.endswith(("site-packages", "dist-packages"))})
    packages = [name for folder in folders for name in listed(folder) if name.endswith((".dist-info", ".egg-info", ".pth"))]
    torch = place_of_package("torch")
    devices = [glob.glob("/dev/nvidia[0-9]*"), os.path.exists("/dev/kfd"), content_of("/proc/driver/nvidia/version")]
    known = (
        netcheck.__version__,
        sys.version,
        sys.prefix,
        packages,
        devices,
        [os.environ.get(name) for name in ENVIRONMENT],
    )
    version = content_of(os.path.join(os.path.dirname(torch), "version.py")) if torch else b""
    return repr(known).encode("utf-8", "surrogateescape"), version, tree_stamp(own)


def listed(folder: str) -> list[str]:
    """The names in a folder, sorted."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def tree_stamp(folder: str) -> bytes:
    """When and how large the Python files under a folder are, as a digest."""
    stamps = [
        stamp(os.path.join(place, name))
        for place, folders, names in os.walk(folder)
        if not folders.sort()
        for name in sorted(names)
        if name.endswith((".py", ".so"))
    ]
    return hashlib.sha256(b"".join(stamps)).digest()


def stamp(path: str) -> bytes:
    """A file's path, size and time of change."""
    try:
        status = os.stat(path)
    except OSError:
        return path.encode("utf-8", "surrogateescape")
    return f"{path}:{status.st_size}:{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
