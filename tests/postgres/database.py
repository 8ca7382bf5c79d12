"""PostgreSQL servers of a test's own, and what stands between them and the program: a cluster in a
temporary directory on a unix socket, started, stopped without a farewell, and started again; its
backups, and a standby that follows it.
"""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "program"))

import harness  # noqa: E402  (the whole-program tests' own)
from harness import free_port, wait_until  # noqa: E402

# Behaviour is tested: an immediate stop ends the server's processes and not the kernel, so what
# was written is there again without a sync.
_SETTINGS = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off",
             "max_connections": "100", "shared_buffers": "64MB", "max_wal_size": "1GB",
             "wal_keep_size": "256MB"}


def _programs():
    """The newest server's programs that Debian has."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise AssertionError("no PostgreSQL server: run scripts/setup")
    return found[-1].parent


def _user():
    """Whom the server runs as: PostgreSQL refuses root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _become(user):
    def become():
        if user:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        harness._libc.prctl(harness._PR_SET_PDEATHSIG, signal.SIGQUIT)
    return become


def give_to_server(path):
    """A file that the server alone may read."""
    path.chmod(0o600)
    if user := _user():
        os.chown(path, user.pw_uid, user.pw_gid)


class Database:
    """One cluster. Its processes are started on the main thread only (harness.Process says why)."""

    def __init__(self, ground, port=None, settings=()):
        """Listens on its unix socket, and where a port is given on the loopback too."""
        self.path = ground.path / f"database-{ground.number()}"
        self.port = port or 5432
        self.settings = dict(_SETTINGS, port=str(self.port), **dict(settings))
        if port:
            self.settings["listen_addresses"] = "127.0.0.1"
        self.child = None
        self.path.mkdir(mode=0o755)
        ground.path.chmod(0o755)
        if user := _user():
            os.chown(self.path, user.pw_uid, user.pw_gid)
        self._fill()
        self.start()

    def _fill(self):
        """Makes the files that the first start finds."""
        self._run("initdb", "-D", str(self.path / "data"), "-U", "penstock", "-A", "trust",
                  "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, host=None, port=None):
        return f"postgresql://penstock@/postgres?host={host or self.path}&port={port or self.port}"

    def back_up(self, into, *flags):
        """pg_basebackup, also under load."""
        self._run("pg_basebackup", "-d", f"host={self.path} port={self.port} user=penstock", "-D",
                  str(into), "-c", "fast", "-X", "stream", "--no-sync", *flags)

    def _own(self, directory):
        """The server may read and write what is in `directory`."""
        if user := _user():
            for folder, _, files in os.walk(directory):
                for each in (folder, *(os.path.join(folder, name) for name in files)):
                    os.chown(each, user.pw_uid, user.pw_gid)

    def run(self, program, *arguments):
        """A client program of PostgreSQL's, on this server."""
        return self._run(program, "-h", str(self.path), "-p", str(self.port), "-U", "penstock",
                         *arguments)

    def _run(self, program, *arguments):
        done = subprocess.run([str(_programs() / program), *arguments], cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              preexec_fn=_become(_user()))
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stdout}\n{done.stderr}")
        return done.stdout

    def launch(self):
        """Starts the server; it may still be recovering."""
        settings = [part for name, value in self.settings.items()
                    for part in ("-c", f"{name}={value}")]
        with open(self.path / "server.log", "ab") as log:
            self.child = subprocess.Popen(
                [str(_programs() / "postgres"), "-D", str(self.path / "data"), "-k",
                 str(self.path), *settings], cwd="/", stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=_become(_user()))

    def await_ready(self):
        def answers():
            if self.child.poll() is not None:
                raise AssertionError((self.path / "server.log").read_text()[-3000:])
            with contextlib.suppress(AssertionError):
                return self.query("SELECT 1") == "1"
            return False
        wait_until(answers, "the database answers")

    def start(self):
        self.launch()
        self.await_ready()

    def stop_immediately(self):
        """As pg_ctl stop -m immediate: every session breaks, the next start recovers."""
        self.child.send_signal(signal.SIGQUIT)
        self.child.wait()

    def query(self, sql):
        return self.run("psql", "-X", "-q", "-A", "-t", "-d", "postgres", "-c", sql).strip()

    def set(self, name, value):
        """A setting of the running server, in force for sessions that begin from here on and, once
        they are idle, for the others."""
        self.query(f"ALTER SYSTEM SET {name} = '{value}'")
        self.query("SELECT pg_reload_conf()")
        wait_until(lambda: self.query(f"SHOW {name}") == value, f"{name} is in force")

    def close(self):
        if self.child is not None and self.child.poll() is None:
            self.stop_immediately()


class Standby(Database):
    """A streaming standby of `primary`, ready for reading."""

    def __init__(self, ground, primary, port):
        self.primary = primary
        super().__init__(ground, port)

    def _fill(self):
        self.primary.back_up(self.path / "data", "-R")

    def promote(self):
        """Returns once it takes writes."""
        self._run("pg_ctl", "promote", "-w", "-t", str(harness.HANG_SECONDS), "-D",
                  str(self.path / "data"))

    def require_for_commits(self):
        """From here on a commit of the primary is on this standby before it is told; so is all
        that was committed before."""
        primary = self.primary
        wait_until(lambda: primary.query("SELECT count(*) FROM pg_stat_replication"
                                         " WHERE state = 'streaming'") == "1",
                   "the standby follows")
        primary.set("synchronous_standby_names", "ANY 1 (*)")
        wait_until(lambda: primary.query("SELECT count(*) FROM pg_stat_replication"
                                         " WHERE sync_state = 'quorum'") == "1",
                   "commits wait for the standby")
        primary.query("SELECT pg_logical_emit_message(true, 'test', '')")


class Pooler:
    """pgbouncer in front of a database."""

    def __init__(self, ground, database, mode, pool_size=5):
        self.path = ground.path / f"pooler-{ground.number()}"
        self.path.mkdir()
        self.port = free_port()
        users = self.path / "users"
        users.write_text('"penstock" ""\n')
        settings = self.path / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\npostgres = host={database.path} port={database.port} dbname=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = trust\nauth_file = {users}\npool_mode = {mode}\n"
            f"default_pool_size = {pool_size}\nmax_client_conn = 200\n")
        user = _user()
        if user:
            for each in (self.path, users, settings):
                os.chown(each, user.pw_uid, user.pw_gid)
        with open(ground.path / f"{self.path.name}.log", "wb") as log:
            self.child = subprocess.Popen(["/usr/sbin/pgbouncer", str(settings)], cwd="/",
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          preexec_fn=_become(user))
        wait_until(self._listens, "the pooler listens")

    def _listens(self):
        if self.child.poll() is not None:
            raise AssertionError("pgbouncer ended")
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, database):
        return database.url(host="127.0.0.1", port=self.port)

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class SharedTest(harness.ProgramTest):
    """A test with a migrated database, and processes on it."""

    def setUp(self):
        super().setUp()
        self.database = Database(self.ground)
        self.addCleanup(self.database.close)
        self.url = self.database.url()
        done = self.ground.run("migrate", "--store", self.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def serve(self, *flags, url=None, **more):
        """`penstock serve`; not ready yet."""
        return harness.Server(self.ground, "--store", url or self.url, *flags, **more)

    def worker(self, *flags, url=None):
        """`penstock worker`, listening on a free port; not ready yet."""
        return Worker(self.ground, "--store", url or self.url, *flags)


class Worker(harness.Server):
    """`penstock worker`; `await_ready` as a server's."""

    def __init__(self, ground, *flags):
        harness.Process.__init__(self, ground, "worker",
                                 ["worker", "--listen", "127.0.0.1:0", *flags])
