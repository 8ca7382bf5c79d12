"""The power of a disk: the data directory is on an ext4 of its own on a loop device. The server is
stopped in the middle of its work, the file behind the device is copied until two copies are equal,
and the copy, which has only what reached the device, is mounted, recovered and read.

    disk_power.py PENSTOCK [--rounds N] [--seed N]
"""

import argparse
import contextlib
import filecmp
import random
import shutil
import signal
import subprocess
import sys
import time

import session
from session import FLAGS, Books, harness
from weather import Placing

SIZE = 64 << 20

options = argparse.Namespace(rounds=1, seed=20261122)


class DiskPower(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        self.random = random.Random(options.seed)

    def mount(self, image, folder):
        folder.mkdir()
        done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"skipped: no loop device can be mounted here: {done.stderr.strip()}")
            self.skipTest(f"mount: {done.stderr.strip()}")
        self.addCleanup(self.unmount, folder)

    def unmount(self, folder):
        for process in self.ground.processes:
            process.close()
        subprocess.run(["umount", str(folder)], check=False, capture_output=True)

    def steady_copy(self, image, copy):
        """What is on the device: two copies after each other are the same."""
        second = copy.with_suffix(".second")
        for tries in range(1, 50):
            shutil.copyfile(image, copy)
            shutil.copyfile(image, second)
            if filecmp.cmp(copy, second, shallow=False):
                second.unlink()
                return tries
        raise AssertionError("the device is never at rest")

    def test_what_was_acknowledged_is_on_the_disk_when_the_power_goes(self):
        if shutil.which("mkfs.ext4") is None:
            self.fail("mkfs.ext4 is missing: scripts/setup torture")
        for number in range(options.rounds):
            self.one_cut(number)

    def one_cut(self, number):
        path = self.ground.path
        image, copy = path / f"disk-{number}", path / f"copy-{number}"
        with open(image, "wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        live = path / f"live-{number}"
        self.mount(image, live)
        books = Books(self, self.ground, data=f"live-{number}/data")
        server = session.Server(self.ground, *FLAGS, data=books.data).await_ready()
        books.put_stock(server)
        placing = Placing(books, server)
        time.sleep(self.random.uniform(0.2, 1.5))
        server.signal(signal.SIGSTOP)
        tries = self.steady_copy(image, copy)
        # An answer that the server wrote before the stop is read by its client by now or never
        # counted: only what was acknowledged at this moment is asked of the copy.
        acknowledged = dict(books.acknowledged)
        sent = dict(books.sent)
        server.kill()
        placing.stop()
        subprocess.run(["umount", str(live)], check=True)
        self.mount(copy, path / f"found-{number}")
        found = Books(self, self.ground, data=f"found-{number}/data")
        found.sent, found.acknowledged = sent, acknowledged
        found.check()
        verified = found.verify()
        print(f"power cut {number}: {tries} copies until the device was at rest, "
              f"{len(acknowledged)} acknowledged before, {verified} verified")
        self.assertGreater(len(acknowledged), 0)
        subprocess.run(["umount", str(path / f"found-{number}")], check=True)
        for file in (image, copy):
            with contextlib.suppress(OSError):
                file.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=options.rounds)
    parser.add_argument("--seed", type=int, default=options.seed)
    options, rest = parser.parse_known_args(sys.argv[2:])
    sys.argv[2:] = rest
    harness.main()
