"""The one exception of serving: what is wrong with the Tiled server, and the way out."""

__all__ = ["ERROR_PREFIX", "RegistrationError", "ServerError"]

ERROR_PREFIX = "beamline tiled: "
"""How the server's process marks the line in its log that says why it ended."""


class ServerError(RuntimeError):
    """The Tiled server or its data folder cannot be used as asked."""


class RegistrationError(RuntimeError):
    """The server, though well, cannot serve a file."""
