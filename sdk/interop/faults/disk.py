"""A small ext4 filesystem of its own on a loop device, which can be filled, broken and repaired."""

import os
import shutil
import subprocess

MIB = 1 << 20


class Unable(Exception):
    """This machine cannot do it."""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class SmallDisk:
    """Mounted at `path`. `host`: the image grows on a tmpfs that can run full, so that writes fail with EIO."""

    def __init__(self, work, name, mib=96, host_mib=None):
        self.path, self.host = os.path.join(work, name), None
        directory = work
        if host_mib:
            self.host = directory = os.path.join(work, name + ".host")
            os.mkdir(self.host)
            run("mount", "-t", "tmpfs", "-o", f"size={host_mib}m", "tmpfs", self.host)
        self.image = os.path.join(directory, name + ".img")
        with open(self.image, "wb") as image:
            image.truncate(mib * MIB)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", self.image)
        os.mkdir(self.path)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.path)

    def unmount(self):
        run("umount", self.path)

    def repair(self):
        """After an error: takes it off, checks it, and puts it back."""
        self.unmount()
        code = subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, check=False).returncode
        if code not in (0, 1):
            raise OSError(f"e2fsck: exit code {code}")
        self.mount()

    def device(self):
        return os.path.basename(run("findmnt", "-n", "-o", "SOURCE", self.path).strip())

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave=0):
        """Takes all room but `leave` bytes."""
        with open(os.path.join(self.path, "filler"), "ab") as filler:
            while (free := self.free() - leave) > 0:
                # Blocks are 1 or 4 KiB; metadata may want the last one.
                step = max(min(free, 4 * MIB) // 4096 * 4096, 1024)
                try:
                    os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, step)
                except OSError:
                    if step == 1024:
                        break
                    self._trickle(filler, leave)
                    break

    def _trickle(self, filler, leave):
        """Block by block, where one large piece did not fit."""
        block = b"x" * 1024
        try:
            while self.free() > leave:
                os.write(filler.fileno(), block)
        except OSError:
            pass

    def make_room(self):
        os.remove(os.path.join(self.path, "filler"))
        os.sync()

    def go_read_only(self):
        """What ext4 does when it finds itself damaged."""
        trigger = f"/sys/fs/ext4/{self.device()}/trigger_fs_error"
        if not os.path.exists(trigger):
            raise Unable(f"no {trigger}")
        with open(trigger, "w") as file:
            file.write("1")

    def break_host(self):
        """From now on blocks that were never written cannot be: the device answers EIO."""
        with open(os.path.join(self.host, "filler"), "wb") as filler:
            try:
                while True:
                    filler.write(b"x" * MIB)
                    filler.flush()
            except OSError:
                pass

    def mend_host(self):
        os.remove(os.path.join(self.host, "filler"))

    def remove(self):
        for path in (self.path, self.host):
            if path and os.path.ismount(path):
                subprocess.run(["umount", "-l", path], capture_output=True, check=False)
        shutil.rmtree(self.path, ignore_errors=True)


class HangingDisk(SmallDisk):
    """A disk that lies on another, which can be frozen: then what is written waits in memory, and syncs hang."""

    def __init__(self, work, name):
        self.below = SmallDisk(work, name + ".below", 200)
        try:
            super().__init__(self.below.path, name, 160)
            self.fill(leave=1)
            self.make_room()
            # The journal would commit every 5 s, hang in that, and have writes wait for it, too.
            run("mount", "-o", "remount,commit=300", self.path)
        except BaseException:
            self.remove()
            raise

    def freeze(self):
        run("sync", "-f", self.path)
        run("fsfreeze", "--freeze", self.below.path)

    def thaw(self):
        subprocess.run(["fsfreeze", "--unfreeze", self.below.path], capture_output=True, check=False)

    def remove(self):
        self.thaw()
        super().remove()
        self.below.remove()


def why_not(work):
    """Why there can be no disk here, or None."""
    if os.geteuid() != 0:
        return "only root can mount"
    for command in ("mount", "umount", "mkfs.ext4", "e2fsck", "prlimit", "findmnt"):
        if not shutil.which(command):
            return f"no {command} (packages mount, e2fsprogs, util-linux)"
    try:
        disk = SmallDisk(work, "probe", 8)
        disk.remove()
    except OSError as error:
        return f"no loop mount of ext4: {error}"
    return None
