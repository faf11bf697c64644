"""The application definitions that an absorption spectrum can be written by."""

__all__ = ["DEFINITIONS"]

DEFINITIONS = ("NXxas",)
