"""
Name, version, dependencies and entry points. Settings of tools are in pyproject.toml.

The import name is ``streamkit``; that name belongs to somebody else on the package index.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """Read the version without importing the package, whose dependencies may not be there yet."""
    text = (HERE / "streamkit" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError('streamkit/version.py must have a line __version__ = "..."')
    return found.group(1)


AWS = ["botocore>=1.40"]  # signatures and credentials
JSON = ["jiter>=0.11"]  # values out of JSON that is not complete yet
PRICES = ['genai-prices>=0.2.3; python_version >= "3.11"']  # itself wants 3.11
TEXT = ["regex>=2025.10.22"]  # clusters of Unicode 17, which joins Khmer consonants
# The services' own SDKs read what LocalProvider writes, and what streamkit reads.
SDKS = [
    "anthropic>=0.60",
    "cohere>=5.20",
    "google-genai>=1.50",
    "mistralai>=3",
    "ollama>=0.6",
    "openai>=2",
]
# Servers and workers that streams run in: tests/hosts.
HOSTS = [
    "celery>=5.5",
    "gevent>=24.10.1",  # what gunicorn asks for
    "gunicorn>=25.1",  # has --no-control-socket
    "ipykernel>=6.29",
    "jupyter_client>=8.6",
    'pyuwsgi>=2.0.28; sys_platform == "linux"',  # uWSGI in wheels for every CPython, 3.13 too
]
TEST = [
    *AWS,
    *HOSTS,
    *JSON,
    *PRICES,
    *SDKS,
    *TEXT,
    "PyYAML>=6",
    "hypothesis>=6.100",
    "pytest>=8.4",  # the first that fails a test for an exception in one of its threads, at once
    "pytest-timeout>=2.3",
    "responses>=0.25",
    'tomli>=2; python_version < "3.11"',
    "trustme>=1.1",
]
DEV = [
    *TEST,
    "build>=1.2",
    "coverage>=7.6",
    "mypy>=1.13",
    "ruff>=0.9",
    "types-PyYAML>=6",
    "types-requests>=2.32",
]
BENCH = ["anthropic", "openai"]

setup(
    name="llm-streamkit",
    version=version(),
    description="Stream LLM answers from plain threaded Python: no event loop, nothing lost",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    install_requires=[
        "requests>=2.33",  # keys stay out of the hands of netrc (fixed in 2.32.4), CVE-2026-25645
        "urllib3>=2.7",  # decompression bombs (fixed in 2.6.0, 2.6.3, 2.7.0)
        "typing-extensions>=4.14.1",  # override, Self, Unpack; as new as pydantic 2.12 asks for
    ],
    extras_require={
        "aws": AWS,
        "json": JSON,
        "prices": PRICES,
        "text": TEXT,
        "test": TEST,
        "dev": DEV,
        "bench": BENCH,
    },
    packages=find_packages(include=["streamkit", "streamkit.*"]),
    package_data={"streamkit": ["py.typed"]},
    entry_points={
        "console_scripts": ["streamkit = streamkit.__main__:main"],
        "pytest11": ["streamkit = streamkit.testing.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "License :: OSI Approved :: MIT License",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
