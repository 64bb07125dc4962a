"""Starts the action server and the assistant, and stops both on Ctrl-C. With --shell: a chat in the terminal."""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from addons.configuration import ROOT, check_variables, read_mapping
from commands.terminal import CommandFailed, run_command, say
from commands.train import trained_model

PYTHON = [sys.executable, "-m", "commands.quiet"]
HOST = "127.0.0.1"
KEY_VARIABLE = "WEB_SESSION_KEY"
ENDPOINTS = ROOT / "endpoints.yml"
START_LIMIT_SECONDS = 120
STOP_LIMIT_SECONDS = 20


def check_port_is_free(port: int, variable: str | None) -> None:
    """Check that nothing listens on a port yet.

    Args:
        port: the TCP port on this machine.
        variable: the environment variable that chooses another port, if there is one.

    Raises:
        CommandFailed: something does, with what to do about it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            choose = f", or choose another: `{variable}={port + 1} make run`" if variable else ""
            raise CommandFailed(f"Port {port} is taken. Stop the program that uses it{choose}.") from None


def wait_until_answering(address: str, process: "subprocess.Popen[bytes]", name: str) -> None:
    """Wait until a server answers HTTP.

    Raises:
        CommandFailed: it ended, or did not answer within two minutes.
    """
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CommandFailed(f"{name} ended while starting (exit code {process.returncode}); see the lines above.")
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise CommandFailed(f"{name} did not answer at {address} within {START_LIMIT_SECONDS} seconds.")


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    """Start one of the two servers with this interpreter, in a session of its own so that Ctrl-C reaches only us."""
    return subprocess.Popen([*PYTHON, *arguments], cwd=ROOT, start_new_session=True)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask a server to stop, and end it if it does not within the limit."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_all(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
    """Stop servers; a second, impatient Ctrl-C must not leave one behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for process in processes:
        stop(process)


def start_actions(port: int) -> "subprocess.Popen[bytes]":
    """Start the action server on loopback."""
    return start(["rasa_sdk", "--actions", "actions", "--port", str(port), "--quiet"])


@contextmanager
def endpoints_with_free_port() -> Iterator[tuple[Path, int]]:
    """The endpoints file to start with, and the action server's port in it.

    The port endpoints.yml names is used if it is free. Another assistant on the same machine may have it: then a free one is
    taken, in a copy of the file that goes when the assistant stops. Nobody outside meets that port, so none has to choose it.
    """
    endpoints = read_mapping(ENDPOINTS)
    address = urlsplit(endpoints["action_endpoint"]["url"])
    assert address.port is not None, "the action server's address in endpoints.yml names its port"
    try:
        check_port_is_free(address.port, None)
    except CommandFailed:
        with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
            probe.close()
            endpoints["action_endpoint"]["url"] = address._replace(netloc=f"{HOST}:{port}").geturl()
            copy = Path(folder) / ENDPOINTS.name
            copy.write_text(yaml.safe_dump(endpoints, sort_keys=False), encoding="utf-8")
            yield copy, port
    else:
        yield ENDPOINTS, address.port


def serve(model: Path, port: int) -> int:
    """Run both servers until Ctrl-C or until one of them ends.

    Returns:
        0 after Ctrl-C or SIGTERM, 1 when a server ended by itself.
    """
    say("Starting the action server and the assistant ...")
    if not os.environ.get(KEY_VARIABLE):
        say(f"{KEY_VARIABLE} is not set: chats on the website end when the assistant stops (docs/web-channel.md).")
        os.environ[KEY_VARIABLE] = secrets.token_hex(32)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a container's stop is a Ctrl-C too
    with endpoints_with_free_port() as (endpoints, actions_port):
        processes = [start_actions(actions_port)]
        try:
            where = ["--endpoints", str(endpoints), "--interface", HOST, "--port", str(port)]
            processes.append(start(["rasa", "run", "--model", str(model), *where]))
            wait_until_answering(f"http://{HOST}:{actions_port}/health", processes[0], "The action server")
            wait_until_answering(f"http://{HOST}:{port}/", processes[1], "The assistant")
            say(f"Ready: http://{HOST}:{port}/webhooks/web/ (Ctrl-C stops it)")
            while all(process.poll() is None for process in processes):
                time.sleep(0.5)
            raise CommandFailed("One of the two servers ended by itself; see the lines above.")
        except KeyboardInterrupt:
            say("\nStopping ...")
            return 0
        finally:
            stop_all(reversed(processes))


def shell(model: Path, port: int) -> int:
    """Chat in the terminal; the action server runs beside it.

    Returns:
        The exit code of the assistant.
    """
    say("Starting the action server and the chat (a few seconds) ... type /stop to leave.")
    with endpoints_with_free_port() as (endpoints, actions_port):
        actions = start_actions(actions_port)
        try:
            where = ["--endpoints", str(endpoints), "--port", str(port)]
            return subprocess.call([*PYTHON, "rasa", "shell", "--model", str(model), *where], cwd=ROOT)
        except KeyboardInterrupt:
            return 0
        finally:
            stop_all([actions])


def main() -> int:
    """The `make run` and `make chat` commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shell", action="store_true", help="chat in the terminal instead of serving")
    wanted = parser.parse_args()
    try:
        port = int(os.environ.get("PORT", "5005"))
    except ValueError:
        raise CommandFailed(f"PORT must be a number, not {os.environ['PORT']!r}.") from None
    check_port_is_free(port, "PORT")
    for name in ("endpoints.yml", "credentials.yml"):
        check_variables(ROOT / name)
    model = trained_model()
    return shell(model, port) if wanted.shell else serve(model, port)


if __name__ == "__main__":
    run_command(main)
