"""Toolchains of the clients: found, or installed with apt-get by root, or missing with a reason."""

import os
import shutil
import subprocess

PACKAGES = {"java": "openjdk-17-jdk-headless", "javac": "openjdk-17-jdk-headless", "mvn": "maven", "go": "golang"}


class Missing(Exception):
    """A toolchain that cannot be had; its tests are skipped."""


def need(*names):
    """Makes sure that the commands exist."""
    absent = [name for name in names if shutil.which(name) is None]
    if absent and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = sorted({PACKAGES[name] for name in absent})
        print(f"installing {' '.join(packages)}", flush=True)
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    absent = [name for name in names if shutil.which(name) is None]
    if absent:
        raise Missing(f"{', '.join(absent)} not found")


def check(command, **options):
    """Runs a build step and gives its output; a failure carries the end of all that it said.

    Maven ends what it says with codes for the terminal, which must not get before the first word of the output.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} ..: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
