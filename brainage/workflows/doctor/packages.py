"""Versions of this package, of Python and of the packages it stands on; standard library only."""

import importlib
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

from brainage import __version__
from brainage.workflows.doctor.finding import Finding

GROUP = "packages"

DECIDING = {
    "numpy": "numpy",
    "torch": "torch",
    "monai": "monai",
    "antspyx": "ants",
    "simpleitk": "SimpleITK",
    "nilearn": "nilearn",
    "deepbet": None,
}
"""Packages that decide a prediction, as ``save_bundle`` notes them, and what they are imported as.
Of deepbet only the weights are used: its own code needs a graphical toolkit."""

OPTIONAL = {
    "onnx": ("onnx", "export"),
    "onnxruntime": ("onnxruntime", "export"),
    "onnxscript": ("onnxscript", "export"),
    "distributed": ("distributed", "dask"),
}
"""Package -> what it is imported as, and the extra of this package that installs it."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def own_versions() -> list[Finding]:
    """This package and Python."""
    return [
        _ok("brainage", __version__),
        _ok("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"),
    ]


def required_package(name: str) -> list[Finding]:
    """A package without which nothing is predicted: installed, and can be imported."""
    mend = f"pip install --force-reinstall '{_requirement(name)}'"
    return [_package(name, DECIDING[name], "problem", f"pip install '{_requirement(name)}'", mend)]


def optional_package(name: str) -> list[Finding]:
    """A package that one command or option needs."""
    module, extra = OPTIONAL[name]
    install = f"pip install 'brainage[{extra}]'"
    return [_package(name, module, "missing", install, f"pip install --force-reinstall {name}")]


def other_requirements() -> list[Finding]:
    """Whether every other package that this one requires is there, whatever its version."""
    found = [line for line in _requirements() if "extra ==" not in line]
    names = {match[0]: line for line in found if (match := _NAME.match(line))}
    names = {name: line for name, line in names.items() if name.lower() not in DECIDING}
    absent = {name: line for name, line in names.items() if _version(name) is None}
    if not absent:
        return [_ok("other requirements", f"all {len(names)} there")]
    wanted = " ".join(f"'{line}'" for line in absent.values())
    return [
        Finding(
            group=GROUP,
            name="other requirements",
            status="problem",
            found=f"not installed: {', '.join(absent)}",
            advice=f"pip install {wanted}",
        )
    ]


def _package(name: str, module: str | None, absent: str, install: str, reinstall: str) -> Finding:
    installed = _version(name)
    if installed is None:
        return Finding(
            group=GROUP,
            name=name,
            status="missing" if absent == "missing" else "problem",
            found="not installed",
            advice=install,
        )
    try:
        if module is not None:
            importlib.import_module(module)
    except BaseException as error:  # a broken package raises what it likes
        reason = (str(error).strip().splitlines() or [""])[0]
        return Finding(
            group=GROUP,
            name=name,
            status="problem",
            found=f"{installed}, cannot be imported: {type(error).__name__}: {reason}",
            advice=reinstall,
        )
    return _ok(name, installed)


def _ok(name: str, found: str) -> Finding:
    return Finding(group=GROUP, name=name, status="ok", found=found, values={"version": found})


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _requirements() -> list[str]:
    try:
        return requires("brainage") or []
    except PackageNotFoundError:  # run from its sources, without being installed
        return []


def _requirement(name: str) -> str:
    """What this package requires of another, e.g. ``torch<2.14,>=2.9``."""
    for line in _requirements():
        match = _NAME.match(line)
        if match and match[0].lower() == name:
            return line.partition(";")[0].strip()
    return name
