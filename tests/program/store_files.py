"""The files of the data directory: what is lost, who may read them, who may open them."""

import os
import shutil
import stat
import subprocess

import harness
from harness import expect, order_body


class LostFiles(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        self.data = self.ground.path / "data"

    def served(self, *, clean=True):
        """A run with ended orders; the id of one."""
        server = self.ground.server("--demo-catalog")
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        client.close()
        if clean:
            self.assertEqual(server.terminate(), 0)
        else:
            server.kill()
        return order_id

    def refused(self, *named):
        for command in (("serve", "--listen", "127.0.0.1:0"), ("check",)):
            with self.subTest(command):
                done = self.ground.run(*command, "--data", str(self.data))
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                said = done.stdout + done.stderr
                self.assertIn("store-incomplete", said)
                for name in named:
                    self.assertIn(name, said)

    def test_a_lost_log_is_missed_by_a_start_and_a_check(self):
        for clean in (True, False):
            with self.subTest(clean=clean):
                order_id = self.served(clean=clean)
                logs = list((self.data / "store").glob("*.log"))
                self.assertTrue(logs)
                for log in logs:
                    log.rename(self.ground.path / log.name)
                self.refused(logs[-1].name, "store.witness")
                for log in logs:
                    (self.ground.path / log.name).rename(log)
                server = self.ground.server()
                client = server.client()
                self.assertEqual(client.order(order_id)["status"], "fulfilled")
                client.close()
                self.assertEqual(server.terminate(), 0)
                self.ground.check()

    def test_an_emptied_store_is_missed_with_and_without_its_witness(self):
        self.served()
        shutil.rmtree(self.data / "store")
        done = self.ground.run("serve", "--listen", "127.0.0.1:0", "--data", str(self.data))
        self.assertEqual(done.returncode, 1)
        self.assertIn("store-incomplete", done.stderr)
        (self.data / "store.witness").unlink()
        done = self.ground.run("serve", "--listen", "127.0.0.1:0", "--data", str(self.data))
        self.assertEqual(done.returncode, 1)
        self.assertIn("sandbox-ledger.jsonl", done.stderr)

    def test_a_lost_ledger_is_missed(self):
        self.served()
        (self.data / "sandbox-ledger.jsonl").unlink()
        done = self.ground.run("serve", "--listen", "127.0.0.1:0", "--data", str(self.data))
        self.assertEqual(done.returncode, 1)
        self.assertIn("sandbox-ledger.jsonl", done.stderr)
        self.assertIn("store-incomplete", done.stderr)

    def test_a_copy_of_the_data_directory_opens(self):
        order_id = self.served()
        shutil.copytree(self.data, self.ground.path / "copy")
        server = self.ground.server(data="copy")
        client = server.client()
        self.assertEqual(client.order(order_id)["status"], "fulfilled")
        client.close()
        self.assertEqual(server.terminate(), 0)


class Modes(harness.ProgramTest):

    def wide(self):
        found = []
        for folder, _, files in os.walk(self.ground.path / "data"):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                mode = stat.S_IMODE(os.stat(path).st_mode)
                if mode & 0o077:
                    found.append(f"{path} {mode:o}")
        return found

    def test_nobody_else_reads_the_data_directory_whatever_the_umask(self):
        for umask in (0o000, 0o022):
            with self.subTest(umask=oct(umask)):
                before = os.umask(umask)
                try:
                    server = self.ground.server("--demo-catalog")
                finally:
                    os.umask(before)
                client = server.client()
                client.ended(client.place(order_body()).json()["order_id"])
                client.close()
                self.assertEqual(self.wide(), [])
                self.assertEqual(server.terminate(), 0)
                self.assertEqual(self.wide(), [])
                shutil.rmtree(self.ground.path / "data")

    def test_wider_files_are_narrowed_with_a_line(self):
        server = self.ground.server("--demo-catalog")
        self.assertEqual(server.terminate(), 0)
        data = self.ground.path / "data"
        for path in (data / "store", data / "store" / "CURRENT", data / "sandbox-ledger.jsonl"):
            os.chmod(path, 0o755)
        server = self.ground.server()
        self.assertIn("could be read by other users", server.log())
        self.assertEqual(server.terminate(), 0)
        self.assertEqual(self.wide(), [])


class SecondProcess(harness.ProgramTest):

    def test_a_second_process_is_refused_whatever_becomes_of_the_lock_file(self):
        server = self.ground.server("--demo-catalog")
        data = self.ground.path / "data"
        (self.ground.path / "link").symlink_to(data, target_is_directory=True)

        def refused(*command):
            done = self.ground.run(*command)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("store-locked", done.stdout + done.stderr)
        serve = ("serve", "--listen", "127.0.0.1:0", "--data")
        refused(*serve, str(data))
        (data / "store" / "LOCK").unlink()
        refused(*serve, str(data))
        (data / "store" / "LOCK").touch()
        refused(*serve, str(self.ground.path / "link"))
        refused("check", "--data", str(data))
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.ground.check()


class NamedErrors(harness.ProgramTest):

    def refused(self, data, *said, run=None):
        done = (run or self.ground.run)("serve", "--listen", "127.0.0.1:0", "--data", str(data))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("store-locked", done.stderr)
        for text in said:
            self.assertIn(text, done.stderr)

    def test_what_the_system_refuses_is_told_as_that(self):
        file = self.ground.path / "file"
        file.write_text("x")
        self.refused(file, "store-inaccessible", "Not a directory")
        self.refused(file / "below", "store-inaccessible", "Not a directory")
        self.refused("/proc/penstock", "store-inaccessible")
        if os.geteuid() == 0:
            return
        closed = self.ground.path / "closed"
        closed.mkdir(0o500)
        self.refused(closed, "store-inaccessible", "Permission denied")

    def test_too_few_descriptors_are_told_as_that(self):
        server = self.ground.server("--demo-catalog")
        self.assertEqual(server.terminate(), 0)

        def few(*arguments):
            command = " ".join(f"'{part}'" for part in (harness.binary, *arguments))
            return subprocess.run(["/bin/sh", "-c", f"ulimit -n 7; exec {command}"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=harness.HANG_SECONDS, cwd=self.ground.path)
        self.refused(self.ground.path / "data", "too few files may be open", run=few)


if __name__ == "__main__":
    harness.main()
