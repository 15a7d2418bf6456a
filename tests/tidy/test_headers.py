"""Every header can be included first: it brings what it needs."""

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tree import ROOT, files

BUILD = ROOT / "build" / "tidy"
FLAGS = ["-std=c++23", "-c", "-O0", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused-function",
         f"-I{ROOT / 'src'}", "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_ASIO_NO_DEPRECATED",
         "-DSPDLOG_FMT_EXTERNAL", '-DHAVN_VERSION="0"']


def compile_alone(header):
    """Compiles a file that has nothing but the header; ccache remembers it. Returns the compiler's complaint."""
    name = hashlib.sha1(str(header).encode()).hexdigest()[:16]
    source, target = BUILD / f"{name}.cc", BUILD / f"{name}.o"
    source.write_text(f'#include "{header.relative_to("src")}"\n')
    command = [*(["ccache"] if shutil.which("ccache") else []), "clang++-19", *FLAGS, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return f"{header}:\n{done.stderr[:1500]}" if done.returncode else None


def test_headers_compile_alone():
    if not shutil.which("clang++-19"):
        pytest.skip("clang++-19 is not installed")
    BUILD.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        broken = [complaint for complaint in pool.map(compile_alone, files("*.h")) if complaint]
    assert not broken, "\n" + "\n".join(broken)
