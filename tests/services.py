"""Services of a facility, each started on a random port of loopback, and ended."""

import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beamline_ophyd.simulator import free_ports

from .environments import postgresql_program, system_program

DEADLINE_S = 120.0
_HOST = "127.0.0.2"


@contextlib.contextmanager
def redis_server(folder: Path, *, password: str = "", port: int = 0) -> Iterator[int]:
    """A Redis that keeps nothing on disk: its port."""
    program = system_program("redis-server")
    port = port or free_ports(1)[0]
    settings = f'port {port}\nbind 127.0.0.1\nsave ""\ndir "{folder}"\n'
    if password:
        settings += f"requirepass {password}\n"
    with subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(settings.encode())
        process.stdin.close()
        with _ended(process, signal.SIGTERM):
            _until(process, process.stdout, b"Ready to accept connections")
            yield port


@contextlib.contextmanager
def postgresql() -> Iterator[dict[str, str]]:
    """A PostgreSQL with a superuser of its own: the variables by which its programs reach it.

    It listens where nobody looks who was not told. It refuses to run as root, so root lets the
    system's own user for it run it.
    """
    initdb, postgres = (postgresql_program(name) for name in ("initdb", "postgres"))
    with tempfile.TemporaryDirectory(prefix="pg-") as place:
        folder = Path(place)
        user = _unprivileged(folder)
        passwords = folder / "admin.pass"
        password = _private(passwords, secrets.token_hex(16))
        data = folder / "data"
        options = ["--username=admin", "--auth=scram-sha-256", "--locale=C.UTF-8", "--no-sync"]
        if user:
            os.chown(passwords, user["user"], user["group"])
        subprocess.run(
            [initdb, f"--pgdata={data}", f"--pwfile={passwords}", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=DEADLINE_S,
            cwd=folder,
            **user,
        )
        (port,) = free_ports(1)
        settings = {
            "listen_addresses": _HOST,
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "lc_messages": "C",
        }
        command = [postgres, "-D", str(data), *(f"--{k}={v}" for k, v in settings.items())]
        with (
            subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder, **user) as process,
            _ended(process, signal.SIGINT),
        ):
            _until(process, process.stderr, b"ready to accept connections")
            yield {
                "PGHOST": _HOST,
                "PGPORT": str(port),
                "PGUSER": "admin",
                "PGPASSWORD": password,
            }


@contextlib.contextmanager
def haproxy(config: Path, **settings: str) -> Iterator[None]:
    """haproxy with a configuration and its variables, listening when this returns."""
    program = system_program("haproxy")
    host, port = settings["BEAMLINE_ADDRESS"].split(":")
    with (
        subprocess.Popen([program, "-db", "-f", str(config)], env={**os.environ, **settings}) as p,
        _ended(p, signal.SIGTERM),
    ):
        give_up = threading.Timer(DEADLINE_S, p.kill)
        give_up.start()
        while p.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((host, int(port)), DEADLINE_S).close()
                break
        give_up.cancel()
        assert p.poll() is None, "haproxy ended by itself"
        yield


@contextlib.contextmanager
def _ended(process, number: int) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _until(process, stream, word: bytes) -> None:
    """Read until a word is said, and go on reading so that the one who speaks is not held up."""
    said = []
    give_up = threading.Timer(DEADLINE_S, process.kill)
    give_up.daemon = True
    give_up.start()
    try:
        for line in stream:
            said.append(line)
            if word in line:
                threading.Thread(target=_drain, args=(stream,), daemon=True).start()
                return
    finally:
        give_up.cancel()
    raise AssertionError(f"it did not get ready: {b''.join(said).decode()}")


def _drain(stream) -> None:
    with contextlib.suppress(ValueError):  # closed
        for _ in stream:
            pass


def _unprivileged(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    who = pwd.getpwnam("postgres")
    os.chown(folder, who.pw_uid, who.pw_gid)
    return {"user": who.pw_uid, "group": who.pw_gid}


def _private(path: Path, text: str) -> str:
    path.touch(0o600)
    path.write_text(text)
    return text
