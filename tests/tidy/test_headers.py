"""Every header can be included first: it brings what it needs."""

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tree import ROOT, files, includes, text

BUILD = ROOT / "build" / "tidy"
FLAGS = ["-std=c++23", "-O0", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused-function",
         f"-I{ROOT / 'src'}", "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_ASIO_NO_DEPRECATED",
         "-DSPDLOG_FMT_EXTERNAL", '-DHAVN_VERSION="0"', "-Xclang", "-fno-pch-timestamp"]
# What takes seconds to parse. A header that includes one of these anyway is compiled behind it, precompiled.
COSTLY = ("base/json.h", "io/asio.h")


def all_included(header, seen=None):
    """The headers of ours that it includes, directly or not, itself among them."""
    seen = set() if seen is None else seen
    if header not in seen:
        seen.add(header)
        for _, kind, name in includes(text(f"src/{header}")):
            if kind == '"':
                all_included(name, seen)
    return seen


def compiler():
    return [*(["ccache"] if shutil.which("ccache") else []), "clang++-19"]


def precompiled(names):
    """The file with these headers precompiled, in their order."""
    source = BUILD / ("behind_" + "_".join(name.replace("/", "_") for name in names))
    target = source.with_suffix(".pch")
    source.write_text("".join(f'#include "{name}"\n' for name in names))
    subprocess.run(["clang++-19", *FLAGS, "-x", "c++-header", str(source), "-o", str(target)], check=True, timeout=120)
    return target


def compile_alone(header, behind):
    """Compiles a file that has nothing but the header; ccache remembers it. Returns the compiler's complaint."""
    name = hashlib.sha1(str(header).encode()).hexdigest()[:16]
    source, target = BUILD / f"{name}.cc", BUILD / f"{name}.o"
    source.write_text(f'#include "{header.relative_to("src")}"\n')
    done = subprocess.run([*compiler(), *FLAGS, *(["-include-pch", str(behind)] if behind else []), "-c", str(source),
                           "-o", str(target)], capture_output=True, text=True, timeout=120)
    return f"{header}:\n{done.stderr[:1500]}" if done.returncode else None


def test_headers_compile_alone():
    if not shutil.which("clang++-19"):
        pytest.skip("clang++-19 is not installed")
    BUILD.mkdir(parents=True, exist_ok=True)
    costly = {header: tuple(name for name in COSTLY if name in all_included(str(header.relative_to("src"))))
              for header in files("*.h")}
    ready = {names: precompiled(names) for names in set(costly.values()) if names}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        broken = [complaint for complaint in
                  pool.map(lambda header: compile_alone(header, ready.get(costly[header])), costly) if complaint]
    assert not broken, "\n" + "\n".join(broken)
