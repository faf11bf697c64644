"""The server's own process: ``python -m beamline_ophyd.serving._process``.

Its arguments are FOLDER FILES HOST PORT CONFIG NAME, the last two of which may be empty.
It ends when its standard input does, so that nothing outlives a parent that was killed.
One line of JSON on standard output says that it is ready; trouble goes to standard error.
"""

import contextlib
import gc
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._lock import take_folder
from .contents import CONTAINERS
from .errors import ERROR_PREFIX, ServerError
from .folder import DataFolder

__all__ = ["main"]

# Seconds that open connections may take to finish, and then that shutting down may take at all.
_GRACE_S = 2
_LAST_RESORT_S = 8.0


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ServerError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            f"choose another port, or 0 for any free one"
        ) from error
    return listener


async def _ensure_containers(tree: Any) -> None:
    from tiled.catalog.adapter import Collision
    from tiled.structures.core import Spec

    if not hasattr(tree, "create_node"):
        return  # a configuration with several trees decides itself where runs go
    for container in CONTAINERS:
        try:
            await tree.lookup_adapter([container.key])
        except KeyError:
            with contextlib.suppress(Collision):  # another server makes it in the same moment
                await tree.create_node(
                    structure_family="container",
                    metadata=dict(container.metadata),
                    key=container.key,
                    specs=[Spec(name, version) for name, version in container.specs],
                )


def _announce(folder: DataFolder, uri: str) -> None:
    state = {"uri": uri, "pid": os.getpid(), "files": str(folder.files)}
    draft = folder.state.with_suffix(".new")
    draft.write_text(json.dumps(state) + "\n", encoding="utf-8")
    draft.replace(folder.state)
    sys.stdout.write(json.dumps(state) + "\n")
    sys.stdout.flush()


def _end_with_parent(stop: Callable[[], None]) -> None:
    """Stop when standard input ends: at the latest when the parent's process does."""

    def watch() -> None:
        while os.read(0, 64):
            pass
        stop()
        timer = threading.Timer(_LAST_RESORT_S, os._exit, (1,))
        timer.daemon = True
        timer.start()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def serve(folder: DataFolder, host: str, port: int, config_file: Path | None = None) -> None:
    """Serve a prepared data folder until told to stop."""
    os.environ.update(folder.environment)
    held = take_folder(folder)
    listener = _bind(host, port)

    # Loading Tiled makes a million objects that stay: looking through them for garbage, now and
    # again at the end, takes a third of the time of a start and most of that of a stop.
    gc.disable()
    import uvicorn
    from tiled.server.app import build_app_from_config

    from . import _downloads, _watch
    from ._config import check_shareable, read_config
    from ._databases import make_ready
    from ._guard import guard
    from ._key_cache import look_keys_up_once
    from ._streaming import do_without_redis
    from ._tables import mend_tables

    do_without_redis()
    look_keys_up_once()
    config = read_config(folder, config_file)
    if folder.name:
        check_shareable(config, folder)
    make_ready(config, folder.prepare(embedded=config_file is None))
    for each in config.trees or ():
        mend_tables(each.tree)
        guard(each.tree)
    routers: list[Any] = config.routers
    routers += [_downloads.router, _watch.router]
    tree = config.merged_trees
    logging.getLogger("tiled.server.app").handlers.clear()  # the root logger has one

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                await _ensure_containers(tree)
                gc.freeze()
                gc.enable()
                shown = f"[{host}]" if ":" in host else host
                _announce(folder, f"http://{shown}:{listener.getsockname()[1]}")

    options = {**config.uvicorn, "host": host, "port": port}
    # No access log: it would hold the short-lived keys in the addresses of live subscriptions.
    options.update(access_log=False, timeout_graceful_shutdown=_GRACE_S, log_level="warning")
    server = Server(uvicorn.Config(build_app_from_config(config), **options))
    _end_with_parent(lambda: setattr(server, "should_exit", True))
    try:
        server.run(sockets=[listener])
    finally:
        gc.freeze()
        folder.state.unlink(missing_ok=True)
        os.close(held)
    if not server.started:
        raise ServerError(f"Tiled did not start; what it said is in {folder.log}")


def main(arguments: list[str]) -> int:
    """Serve as the command line says; 0 after an orderly stop."""
    for name in [name for name in os.environ if name.startswith("TILED_")]:
        del os.environ[name]  # Tiled lets them override the configuration, raw assets included
    os.umask(0o077)
    root, files, host, port, config, name = arguments
    folder = DataFolder(Path(root), Path(files), name)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(folder, host, int(port), Path(config) if config else None)
    except ServerError as error:
        sys.stderr.write(f"{ERROR_PREFIX}{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
