"""Starts and stops the real components on loopback ports of their own, and breaks them on purpose."""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psycopg2

from addons.configuration import ROOT, read_mapping

HOST = "127.0.0.1"
START_LIMIT_SECONDS = 120


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def needed(program: str, *places: str) -> str:
    """The path of a program.

    Raises:
        FileNotFoundError: it is not installed; these tests fail then, they do not skip.
    """
    found = shutil.which(program) or next((path for place in places for path in map(str, Path("/").glob(place))), None)
    if not found:
        raise FileNotFoundError(f"{program} is not installed. `make test-services` installs it with apt-get where it may.")
    return found


def as_nobody_special(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: hand the folder to its own user then, and run as that one."""
    if os.geteuid() != 0:
        return []
    for part in (folder, *folder.parents):
        if part == Path("/"):
            break
        part.chmod(part.stat().st_mode | 0o011)
    subprocess.run(["chown", "-R", "postgres", str(folder)], check=True)
    return ["runuser", "-u", "postgres", "--"]


class Server:
    """A process that can be ended or stopped in its tracks."""

    def __init__(self) -> None:
        """Choose the port."""
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def hang(self) -> None:
        """Stop it in its tracks: connections are accepted by the kernel and never answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class Postgres(Server):
    """A PostgreSQL server with an empty database."""

    def __init__(self, folder: Path) -> None:
        """Make the database files.

        Args:
            folder: an empty folder for them.
        """
        super().__init__()
        self.folder = folder
        self._server = needed("postgres", "usr/lib/postgresql/*/bin/postgres")
        self._prefix = as_nobody_special(folder)
        binaries = Path(self._server).resolve().parent
        initdb = shutil.which("initdb", path=str(binaries)) or needed("initdb", "usr/lib/postgresql/*/bin/initdb")
        arguments = [initdb, "-D", str(folder / "data"), "-U", "assistant", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*self._prefix, *arguments], check=True, stdout=subprocess.DEVNULL, env=_plain())

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        arguments = ["-D", self.folder / "data", "-p", self.port, "-h", HOST, "-k", self.folder, "-c", "max_connections=20"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, self._server, *map(str, arguments)], stdout=log, stderr=log, env=_plain(), start_new_session=True
            )

        def connects() -> bool:
            with contextlib.suppress(psycopg2.OperationalError):
                return bool(self.ask("postgres", "select 1"))
            return False

        wait_until(connects, "PostgreSQL")

    def create(self, database: str) -> None:
        """Make an empty database."""
        connection = psycopg2.connect(host=HOST, port=self.port, user="assistant", dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute(f"create database {database}")
        connection.close()

    def ask(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """What another client of the database sees."""
        connection = psycopg2.connect(host=HOST, port=self.port, user="assistant", dbname=database, connect_timeout=2)
        cursor = connection.cursor()
        cursor.execute(query)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        connection.close()
        return found

    def messages(self, database: str) -> list[tuple[str, str]]:
        """The sender and the words of every stored message, in the order stored."""
        rows = self.ask(database, "select sender_id, data from events where type_name = 'user' order by id")
        return [(sender, json.loads(data)["text"]) for sender, data in rows]

    def kill(self) -> None:
        """End it at once, all of its processes, as a lost machine would."""
        if self._process is None:
            return
        processes = descendants(self._process.pid)
        self._signal(signal.SIGKILL)
        self._process.wait()
        # Its memory is free for the next start only when the last of them is gone.
        wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in processes), "PostgreSQL's end")
        self._process = None
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def _signal(self, number: int) -> None:
        if self._process is None:
            return
        # The parent first: it must not start others in their place.
        for pid in reversed(descendants(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Redis(Server):
    """A Redis server that keeps nothing on the disk."""

    def __init__(self, folder: Path) -> None:
        """Find the program.

        Args:
            folder: its working folder.
        """
        super().__init__()
        self._folder = folder
        self._program = needed("redis-server")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        arguments = ["--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen([self._program, *arguments], stdout=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: listens(self.port), "Redis")


class ActionServer(Server):
    """The action server on a port of its own."""

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        command = ["-m", "commands.quiet", "rasa_sdk", "--actions", "actions", "--port", str(self.port), "--quiet"]
        self._process = subprocess.Popen([sys.executable, *command], cwd=ROOT, start_new_session=True)
        wait_until(lambda: listens(self.port), "the action server", self._process)


class Assistant(Server):
    """The assistant as `make run` starts it, with settings of its own."""

    def __init__(self, folder: Path, model: Path, tracker_store: dict[str, Any], **endpoints: Any) -> None:
        """Write its settings.

        Args:
            folder: for its settings and its log.
            model: the model archive.
            tracker_store: what endpoints.yml says in that block, beside the type.
            endpoints: further blocks of endpoints.yml.
        """
        super().__init__()
        self.folder, self._model = folder, model
        # As `make run` does, so that tokens outlive a restart.
        self._session_key = secrets.token_hex(32)
        self.log = folder / "assistant.log"
        shipped = {name: block for name, block in read_mapping(ROOT / "endpoints.yml").items() if name != "action_endpoint"}
        settings = {**shipped, "tracker_store": {"type": shipped["tracker_store"]["type"], **tracker_store}, **endpoints}
        # JSON is YAML.
        (folder / "endpoints.yml").write_text(json.dumps(settings), encoding="utf-8")
        shutil.copy(ROOT / "credentials.yml", folder / "credentials.yml")

    def start(self, wait: bool = True, **variables: str) -> None:
        """Start it.

        Args:
            wait: until it answers.
            variables: of its environment.
        """
        arguments = ["rasa", "run", "--model", self._model, "--endpoints", self.folder / "endpoints.yml"]
        arguments += ["--credentials", self.folder / "credentials.yml", "--interface", HOST, "--port", self.port]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "commands.quiet", *map(str, arguments)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "WEB_SESSION_KEY": self._session_key, **variables},
                start_new_session=True,
            )
        if wait:
            wait_until(lambda: self.status("/", limit=START_LIMIT_SECONDS)[0] == 200, "the assistant", self._process)

    def status(
        self,
        path: str,
        body: bytes | None = None,
        limit: float = 20,
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        """Ask for an address.

        Returns:
            The status and the body; status 0 when the connection was refused or lost.

        Raises:
            TimeoutError: it was not, but no answer came within the limit.
        """
        request = urllib.request.Request(self.address(path), body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=limit) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException):
            return 0, ""

    def address(self, path: str) -> str:
        """The whole address of a path."""
        return f"http://{HOST}:{self.port}{path}"

    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> int:
        """Ask it to stop.

        Returns:
            Its exit code.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def end(self) -> int:
        """Wait until it ends by itself.

        Returns:
            Its exit code.
        """
        assert self._process is not None
        return self._process.wait(START_LIMIT_SECONDS)

    def written(self) -> str:
        """Everything it wrote to its output."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class Proxy:
    """Stands between the assistant and a server, and can be silent, slow, or cut the line.

    Attributes:
        silent: nothing is passed on; new connections are accepted.
        delay: seconds each answer is held back.
        silent_after: when the client sends this, everything from then on is silent (the server still gets it).
    """

    def __init__(self, port: int) -> None:
        """Listen on a port of its own.

        Args:
            port: the server's.
        """
        self.silent = False
        self.delay = 0.0
        self.silent_after: bytes | None = None
        self._target = port
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection there is."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(client)
            try:
                server = socket.create_connection((HOST, self._target), 2)
            except OSError:
                client.close()
                continue
            self._connections.append(server)
            threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        while True:
            try:
                data = source.recv(65536)
                if not data:
                    target.shutdown(socket.SHUT_RDWR)
                    return
                if is_answer:
                    time.sleep(self.delay)
                elif self.silent_after and self.silent_after in data:
                    target.sendall(data)
                    self.silent, self.silent_after = True, None
                    continue
                if not self.silent:
                    target.sendall(data)
            except OSError:
                return


def wait_until(happened: Any, what: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it is not within the limit, or its process ended.
    """
    until = time.monotonic() + START_LIMIT_SECONDS
    while not happened():
        if time.monotonic() > until or (process is not None and process.poll() is not None):
            raise TimeoutError(f"{what} did not start")
        time.sleep(0.1)


def listens(port: int) -> bool:
    """Whether something takes connections on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def descendants(pid: int) -> list[int]:
    """A process and all it started, children first."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = children.read_text().split() if children.exists() else []
    return [number for child in found for number in descendants(int(child))] + [pid]


def _plain() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/tmp"}
