"""What a proposal says, in the metadata of every run."""

from pathlib import Path
from typing import Any

from bluesky.preprocessors import msg_mutator
from bluesky.utils import Msg, MsgGenerator
from pydantic import BaseModel, ConfigDict, Field

from beamline_ophyd.checked_yaml import read_checked

__all__ = ["ProposalError", "proposal_wrapper"]


class ProposalError(ValueError):
    """A proposal's file that cannot be read or does not follow the rules."""


class _User(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1)


class _Proposal(BaseModel):
    model_config = ConfigDict(extra="allow")

    id: str | int
    title: str | None = None
    users: list[_User] = []


def proposal_wrapper(plan: MsgGenerator[Any], file: str) -> MsgGenerator[Any]:
    """Put a proposal's number, title and people into every run's metadata.

    Parameters
    ----------
    plan : iterable of Msg
    file : str
        YAML or JSON with ``id``, and if wanted ``title``, ``users`` (each with a ``name``,
        and ``affiliation``, ``email``, ``orcid`` ...) and whatever else belongs to it. Read
        when the plan begins. What the plan itself says goes before.

    Raises
    ------
    ProposalError
        Before the plan's first message.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from beamline_ophyd.plans import count, proposal_wrapper
    >>> from ophyd.sim import det
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "proposal.yaml"
    ...     _ = file.write_text("{id: 20261234, users: [{name: Ada Lovelace}]}")
    ...     messages = list(proposal_wrapper(count([det], fixed_dwell=True), str(file)))
    >>> next(m.kwargs["users"] for m in messages if m.command == "open_run")
    [{'name': 'Ada Lovelace'}]
    """
    said = _read(Path(file))

    def with_proposal(msg: Msg) -> Msg:
        if msg.command != "open_run":
            return msg
        return msg._replace(kwargs={**said, **msg.kwargs})

    return (yield from msg_mutator(plan, with_proposal))


def _read(file: Path) -> dict[str, Any]:
    proposal = read_checked(
        file,
        _Proposal,
        called=f"proposal {file}",
        needs="it has an id, and if wanted a title and users, each with a name",
        error=ProposalError,
    )
    about = proposal.model_dump(mode="json", exclude_none=True)
    said: dict[str, Any] = {"proposal_id": about.pop("id")}
    if users := about.pop("users"):
        said["users"] = users
    if about:
        said["proposal"] = about
    return said
