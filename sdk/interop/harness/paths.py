"""Where things are: the repository, the Java peer, our binary, and the directory for everything that is built or fetched."""

import os
from pathlib import Path

INTEROP = Path(__file__).resolve().parent.parent
ROOT = INTEROP.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CACHE = TARGET / "interop"
DIFFERENCES = ROOT / "docs" / "differences.md"


def peer():
    """The directory that starts Apache RocketMQ, or None where there is none."""
    directory = Path(os.environ.get("BLOCKHOUSE_PEER", ROOT.parent / "shared" / "peer"))
    return directory if (directory / "common.sh").is_file() else None


def binary(chosen):
    """Our binary: the one asked for, else the release build, else the debug build; None where none is built."""
    if chosen:
        return Path(chosen).resolve()
    for profile in ("release", "debug"):
        built = TARGET / profile / "blockhouse"
        if built.is_file():
            return built
    return None
