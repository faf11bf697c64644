"""Start, await and stop the device server: the simulated beamline behind EPICS.

The server is a program of its own, installed with this package. :class:`DeviceServer` runs it on
free loopback ports, or on those asked for, and tells how EPICS clients reach it::

    with DeviceServer(speed=100) as server:
        os.environ.update(server.environment)  # before the first PV is looked for
        ...
"""

import contextlib
import json
import logging
import queue
import random
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from importlib import metadata
from os import environ
from pathlib import Path
from types import TracebackType
from typing import IO, Self

__all__ = ["DEFAULT_PORT", "DeviceServer", "DeviceServerError", "executable", "free_ports"]

logger = logging.getLogger(__name__)

DEFAULT_PORT = 5064
DEFAULT_PVA_PORT = 5075

_NAME = "beamline-ioc"
_EXIT_PORT_TAKEN = 3
_TRIES = 5  # for free ports that another program takes before the server does


class DeviceServerError(RuntimeError):
    """The device server does not run; the message says why."""


def executable() -> Path:
    """Return the path of the server: of the build that BEAMLINE_IOC names, else the installed one.

    Raises
    ------
    DeviceServerError
        If there is none.
    """
    if named := environ.get("BEAMLINE_IOC"):
        if Path(named).is_file():
            return Path(named).resolve()
        raise DeviceServerError(
            f"environment variable BEAMLINE_IOC names {named}, which is no file; "
            "correct it, or unset it to use the installed server"
        )
    candidates = [Path(__file__).parent / "_bin" / _NAME]
    with contextlib.suppress(metadata.PackageNotFoundError):
        files = metadata.files("beamline-ophyd") or []
        candidates[:0] = [Path(str(file.locate())) for file in files if file.name == _NAME]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise DeviceServerError(
        f"the device server {_NAME} is not installed (looked for {candidates[0]}); "
        "install beamline-ophyd again, with a C compiler at hand"
    )


def free_ports(count: int, *, interface: str = "127.0.0.1", adjacent: bool = False) -> list[int]:
    """Return ports that are free for TCP and for UDP at this moment.

    Parameters
    ----------
    count : int
        How many.
    interface : str
        IPv4 address to look on.
    adjacent : bool
        Whether they must be consecutive.
    """
    chosen: list[int] = []
    for _ in range(1000):
        if len(chosen) >= count:
            return chosen
        # Below the range from which the kernel gives ports to clients, so that none of them comes
        # in between.
        start = random.randrange(10000, 32000)
        wanted = range(start, start + (count if adjacent else 1))
        if not any(port in chosen for port in wanted) and all(
            _is_free(port, interface) for port in wanted
        ):
            chosen.extend(wanted)
    raise DeviceServerError(f"no {count} free ports found on {interface}")


def _is_free(port: int, interface: str) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((interface, port))
            except OSError:
                return False
    return True


class DeviceServer:
    """The device server as a child process; a context manager.

    Parameters
    ----------
    prefix : str
        First part of every PV name.
    port, pva_port : int, optional
        Ports of Channel Access and PVAccess (the latter also uses the next one); free ones are
        chosen when not given.
    usual_ports : bool
        Choose the ports where EPICS clients look by themselves, as long as they are free.
    interface : str
        IPv4 address to serve on.
    seed : int
        Of the noise.
    speed : float
        Beamline seconds in one second.
    samples : path, optional
        Folder of the sample library, the installed one when not given.
    sample : sequence of paths
        Further XDI files for the holder's next free places.
    noise : bool
        Whether counts have the noise of the absorbed photons.
    steady_ring : bool
        Whether the ring current stays as it is.
    deadline_s : float
        How long the server may take to start.
    executable_path : path, optional
        Another build of the server.

    Attributes
    ----------
    prefix : str
        As given.
    ca_port, pva_port : int
        The ports in use, once started.
    pid : int
        Of the process.
    environment : dict
        What EPICS clients need in their environment to reach this server and no other.
    """

    def __init__(
        self,
        *,
        prefix: str = "BL02:",
        port: int | None = None,
        pva_port: int | None = None,
        usual_ports: bool = False,
        interface: str = "127.0.0.1",
        seed: int = 1,
        speed: float = 1.0,
        samples: str | Path | None = None,
        sample: Sequence[str | Path] = (),
        noise: bool = True,
        steady_ring: bool = False,
        deadline_s: float = 20.0,
        executable_path: str | Path | None = None,
    ) -> None:
        if isinstance(sample, str | Path):
            sample = [sample]
        self.prefix = prefix
        self.interface = interface
        self.ca_port = 0
        self.pva_port = 0
        self.repeater_port = 0
        self._asked_ports = (port, pva_port)
        self._usual_ports = usual_ports
        self._executable = executable_path
        self._deadline_s = deadline_s
        self._process: subprocess.Popen[str] | None = None
        self._complaints: deque[str] = deque(maxlen=50)
        self._readers: list[threading.Thread] = []
        self._options = [
            f"--prefix={prefix}",
            f"--interface={interface}",
            f"--seed={seed}",
            f"--speed={speed}",
            *([f"--samples={samples}"] if samples is not None else []),
            *(f"--sample={path}" for path in sample),
            *(["--no-noise"] if not noise else []),
            *(["--steady-ring"] if steady_ring else []),
            "--exit-with-stdin",
        ]

    def start(self) -> Self:
        """Start the server and wait until it serves.

        Raises
        ------
        DeviceServerError
            With the server's own words if it ends, or if it is not ready in time.
        """
        if self.running:
            raise DeviceServerError(f"the device server {self.prefix} already runs, pid {self.pid}")
        tries = 1 if None not in self._asked_ports else _TRIES
        while True:
            self._choose_ports()
            code = self._launch()
            if code is None:
                logger.info("device server %s serves on port %d", self.prefix, self.ca_port)
                return self
            tries -= 1
            if code != _EXIT_PORT_TAKEN or tries == 0:
                raise DeviceServerError(self._why(f"ended with exit code {code}"))

    def stop(self) -> None:
        """End the server; no error if it has ended already."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                logger.warning("device server %s did not end in time and is killed", self.prefix)
        self.kill()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id."""
        if self._process is None:
            raise DeviceServerError("the device server is not started; call start() first")
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for EPICS clients of this server."""
        if not self.ca_port:
            raise DeviceServerError("the device server is not started; call start() first")
        address = "127.0.0.1" if self.interface == "0.0.0.0" else self.interface
        return {
            # With the port, for the import of ophyd already reads EPICS_CA_SERVER_PORT.
            "EPICS_CA_ADDR_LIST": f"{address}:{self.ca_port}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": str(self.ca_port),
            "EPICS_CA_REPEATER_PORT": str(self.repeater_port),
            "EPICS_PVA_ADDR_LIST": address,
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_SERVER_PORT": str(self.pva_port),
            "EPICS_PVA_BROADCAST_PORT": str(self.pva_port + 1),
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _choose_ports(self) -> None:
        port, pva_port = self._asked_ports
        if self._usual_ports:
            port = port or self._if_free(DEFAULT_PORT)
            pva_port = pva_port or self._if_free(DEFAULT_PVA_PORT, DEFAULT_PVA_PORT + 1)
        taken = {port, *((pva_port, pva_port + 1) if pva_port else ())}
        while True:
            pair = free_ports(2, interface=self.interface, adjacent=True)
            others = free_ports(2, interface=self.interface)
            if len({*pair, *others, *taken} - {None}) == 4 + len(taken - {None}):
                break
        self.pva_port = pva_port or pair[0]
        self.ca_port = port or others[0]
        self.repeater_port = others[1]

    def _if_free(self, port: int, *more: int) -> int | None:
        return port if all(_is_free(each, self.interface) for each in (port, *more)) else None

    def _launch(self) -> int | None:
        """Start the process; its exit code if it ends, None once it serves."""
        path = Path(self._executable) if self._executable else executable()
        command = [str(path), *self._options, f"--port={self.ca_port}"]
        command.append(f"--pva-port={self.pva_port}")
        self._complaints.clear()
        try:
            # A session of its own: Ctrl-C in the terminal is for the scan, not for the beamline.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                env={**environ, "EPICS_CA_REPEATER_PORT": str(self.repeater_port)},
            )
        except OSError as error:
            raise DeviceServerError(f"the device server {path} cannot be run: {error}") from error
        self._process = process
        said: queue.Queue[str | None] = queue.Queue()
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            threading.Thread(target=_read, args=(process.stdout, said), daemon=True),
            threading.Thread(target=self._log, args=(process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            line = said.get(timeout=self._deadline_s)
        except queue.Empty:
            why = self._why(f"was not ready after {self._deadline_s:g} s")
            self.kill()
            raise DeviceServerError(why) from None
        if line is None:
            code = process.wait()
            self.kill()
            return code
        keyword, _, ready = line.partition(" ")
        if keyword != "ready" or json.loads(ready)["ca_port"] != self.ca_port:
            self.kill()
            raise DeviceServerError(
                f"the device server {path} said {line!r} instead of being ready"
            )
        return None

    def _log(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._complaints.append(line.strip())
            logger.info("device server: %s", line.strip())

    def _why(self, what: str) -> str:
        said = next(reversed(self._complaints), "it said nothing").removeprefix(f"{_NAME}: ")
        return f"the device server {self.prefix} {what}: {said}"


def _read(pipe: Iterable[str], lines: "queue.Queue[str | None]") -> None:
    for line in pipe:
        lines.put(line.strip())
    lines.put(None)
