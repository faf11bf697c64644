"""Start, await and stop a Tiled server for runs and NXxas files."""

import contextlib
import http.client
import ipaddress
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from urllib.parse import urlsplit

from .errors import ERROR_PREFIX, ServerError
from .folder import DataFolder, Keys

__all__ = ["DEFAULT_PORT", "TiledServer", "serve_forever"]

DEFAULT_PORT = 8000

_LOG_LIMIT_BYTES = 10_000_000
_LAST_WORDS = 6

logger = logging.getLogger(__name__)


class TiledServer:
    """A Tiled server in a process of its own, over one data folder.

    The first start makes the folder, its configuration and two random keys: a writer's and a
    reader's. The process ends with :meth:`stop`, with the ``with`` block, and with this process,
    however that ends; Ctrl-C in the terminal does not reach it.

    Parameters
    ----------
    folder : str or pathlib.Path, optional
        Data folder: catalogue, tables, arrays, configuration, keys. By default
        :func:`~beamline_ophyd.serving.default_folder`.
    files : str or pathlib.Path, optional
        Folder of NXxas files that may be served. By default ``folder/files``.
    config : str or pathlib.Path, optional
        Configuration file to use instead of the one in the folder: PostgreSQL and Redis, for
        example, as in ``docs/examples/facility/tiled.yml``.
    name : str, optional
        Of this server among several that share the folder and one such `config`.
    host : str
        Address to listen on; loopback by default.
    port : int
        Port to listen on; 0 takes any free one.
    public : bool
        Has to be True for an address other than loopback.
    timeout : float
        Seconds that starting may take.

    Raises
    ------
    ServerError
        On start: the folder cannot be written or is served already, the port is taken, the
        configuration is not valid. The message holds the server's own last words.

    Examples
    --------
    >>> with TiledServer("/tmp/beamline") as server:  # doctest: +SKIP
    ...     client = connect(server.uri, server.keys.reader)
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        files: str | Path | None = None,
        config: str | Path | None = None,
        name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        public: bool = False,
        timeout: float = 120.0,
    ) -> None:
        self.folder = DataFolder.at(folder, files, name)
        self.config = None if config is None else Path(config).expanduser().resolve()
        self.host = host
        self.port = port
        self.public = public
        self.timeout = timeout
        self._keys: Keys | None = None
        self._uri: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<TiledServer {self._uri or 'stopped'} of {self.folder.root}>"

    @property
    def uri(self) -> str:
        """Address of the running server, without a key."""
        if self._uri is None:
            raise ServerError(f"the Tiled server of {self.folder.root} is not running; start it")
        return self._uri

    @property
    def keys(self) -> Keys:
        """The writer's and the reader's key, known after the first start."""
        if self._keys is None:
            self._keys = Keys(writer=self.folder.key("writer"), reader=self.folder.key("reader"))
        return self._keys

    @property
    def pid(self) -> int | None:
        """Process id of the server; None when it does not run."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> "TiledServer":
        """Start the server and return when it answers."""
        if self.running:
            return self
        self._check_address()
        self._keys = self.folder.prepare(embedded=self.config is None)
        if self.public:
            logger.warning(
                "Tiled will listen on %s: whoever reaches this address and has a key can read "
                "every run and every file in %s, and with the writer's key change and delete them. "
                "The connection is not encrypted.",
                self.host,
                self.folder.files,
            )
        deadline = time.monotonic() + self.timeout
        log_start = self._spawn()
        try:
            self._uri = self._await_ready(deadline, log_start)
            self._check_health(deadline, log_start)
        except BaseException:
            self.stop()
            raise
        logger.info("Tiled serves %s at %s", self.folder.root, self._uri)
        return self

    def stop(self, timeout: float = 10.0) -> None:
        """End the server's process; safe to call twice."""
        process, ready = self._process, self._uri is not None
        self._process = self._uri = None
        if process is None:
            return
        if not ready:
            process.terminate()  # too early to notice that its standard input ends
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            logger.warning(
                "Tiled (process %d) did not stop in %.0f s: killed", process.pid, timeout
            )
            process.kill()
            process.wait()
        if (self.folder.announced() or {}).get("pid") == process.pid:
            self.folder.state.unlink(missing_ok=True)  # it did not end in good order

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the server's process to end by itself; its exit status, None if it has not."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> "TiledServer":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _check_address(self) -> None:
        if self.public or self.host == "localhost":
            return
        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ServerError(
                f"{self.host} is not a loopback address, so others could reach the server; "
                f"allowed without asking are 127.0.0.1, ::1 and localhost; "
                f"pass public=True (`--public`) when that is what you want"
            )

    def _spawn(self) -> int:
        folder = self.folder
        if folder.log.exists() and folder.log.stat().st_size > _LOG_LIMIT_BYTES:
            folder.log.replace(folder.log.with_suffix(".log.1"))
        # The server needs no settings of the client's, and Tiled would let them override its own.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TILED_")}
        descriptor = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            log_start = log.tell()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "beamline_ophyd.serving._process",
                    str(folder.root),
                    str(folder.files),
                    self.host,
                    str(self.port),
                    str(self.config or ""),
                    folder.name,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=folder.root,
                start_new_session=True,  # Ctrl-C is for the program that started the server
            )
        return log_start

    def _await_ready(self, deadline: float, log_start: int) -> str:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ServerError(
                        f"Tiled did not start within {self.timeout:.0f} s in {self.folder.root}; "
                        f"{self._last_words(log_start)}"
                    )
                more = os.read(process.stdout.fileno(), 4096)
                if not more:
                    process.wait(max(1.0, deadline - time.monotonic()))
                    raise ServerError(self._last_words(log_start))
                line += more
        return str(json.loads(line)["uri"])

    def _check_health(self, deadline: float, log_start: int) -> None:
        address = urlsplit(self.uri)
        # Straight to the address, since a proxy from the environment must not come between.
        connection = http.client.HTTPConnection(
            address.hostname or self.host,
            address.port,
            timeout=max(1.0, deadline - time.monotonic()),
        )
        try:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
        except OSError as error:
            raise ServerError(
                f"Tiled at {self.uri} does not answer: {error}; {self._last_words(log_start)}"
            ) from error
        finally:
            connection.close()
        if status != 200:
            raise ServerError(
                f"Tiled at {self.uri} says it is not well: HTTP {status} for /healthz; "
                f"{self._last_words(log_start)}"
            )

    def _last_words(self, log_start: int) -> str:
        """Return the server's own error if it named one, else the end of what it said."""
        try:
            with self.folder.log.open("rb") as log:
                log.seek(log_start)
                lines = [
                    line for line in log.read().decode("utf-8", "replace").splitlines() if line
                ]
        except OSError:
            lines = []
        for line in reversed(lines):
            if line.startswith(ERROR_PREFIX):
                return line.removeprefix(ERROR_PREFIX)
        said = " | ".join(line.strip() for line in lines[-_LAST_WORDS:]) or "nothing"
        return f"the server's last words: {said} (all of them in {self.folder.log})"


def serve_forever(
    folder: str | Path | None = None,
    *,
    files: str | Path | None = None,
    config: str | Path | None = None,
    name: str | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    public: bool = False,
    on_ready: Callable[[TiledServer], None] | None = None,
) -> None:
    """Run a Tiled server until SIGINT or SIGTERM; what ``beamline tiled`` does.

    Parameters
    ----------
    folder, files, config, name, host, port, public
        As for :class:`TiledServer`.
    on_ready : callable, optional
        Called with the running server, for example to tell the user its address.

    Raises
    ------
    ServerError
        When the server cannot start, or ends by itself.
    """
    server = TiledServer(
        folder, files=files, config=config, name=name, host=host, port=port, public=public
    )

    signals = (signal.SIGINT, signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        for each in signals:  # a second Ctrl-C must not interrupt the stopping
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in signals}
    try:
        with contextlib.suppress(KeyboardInterrupt), server:
            if on_ready is not None:
                on_ready(server)
            status = server.wait()
            raise ServerError(
                f"the Tiled server of {server.folder.root} ended by itself (status {status}); "
                f"see {server.folder.log}"
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
