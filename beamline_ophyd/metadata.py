"""The contract between plans and callbacks: what a start document says.

A plan writes it, a callback reads it, and neither imports the other. Metadata
uses the dictionary of XDI 1.0 (Ravel et al., J. Phys.: Conf. Ser. 712, 012148,
2016): the families ``Element``, ``Mono``, ``Scan``, ``Detector``, ``Sample``,
``Facility`` and ``Beamline`` are keys of the start document, so that a session
can set the ones that stay (``RE.md["Facility"]``) and a plan the ones of a scan.
What XDI has no word for stands under ``xafs``, see :class:`XAFSContract`; a powder scan has
:class:`PowderContract` under ``powder`` instead.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

__all__ = [
    "CHANNELS",
    "CONTRACT_KEY",
    "COUNT_UNITS",
    "DARK_STREAM",
    "FAILED_STREAM",
    "MERGE_STREAM",
    "POWDER_KEY",
    "RESULT_STREAM",
    "WORDS_KEY",
    "Channel",
    "PowderContract",
    "PowderRoles",
    "Roles",
    "RunMetadata",
    "XAFSContract",
    "dark_error_key",
    "dark_key",
    "ev_per_count_key",
    "infer_roles",
]

CONTRACT_KEY = "xafs"
POWDER_KEY = "powder"

COUNT_UNITS = frozenset({"", "count", "counts", "cts", "photons"})
"""Units, in lower case, of a channel that counts; other units are currents or rates."""

DARK_STREAM = "dark"
"""Stream that holds the dark current of the channels, see :func:`dark_key`."""

MERGE_STREAM = "merge"
"""Stream that holds the merge of the sweeps so far, an event a sweep."""

FAILED_STREAM = "failed"
"""Stream of what could not be read at all: number of the point, and what was wrong."""

RESULT_STREAM = "result"
"""Stream of what a scan found, such as the centre of a sample: one event before its end."""

WORDS_KEY = "found"
"""Data key of that stream that says in one sentence what was found."""

Mode = Literal["transmission", "fluorescence", "electron yield"]


@dataclass(frozen=True)
class Channel:
    """One detector channel of an absorption measurement and its names elsewhere."""

    role: str
    xdi: str
    nxxas: str
    title: str
    data_keys: tuple[str, ...]
    """Lower-case data keys by which the channel is known where nobody says its role."""


CHANNELS = (
    Channel("i0", "i0", "i0", "incident beam", ("i0",)),
    Channel("itrans", "itrans", "itrans", "transmitted beam", ("it", "itrans", "i1")),
    Channel("ifluor", "ifluor", "ifluor", "fluorescence", ("if", "ifluor", "iff")),
    Channel("irefer", "irefer", "iref", "reference foil", ("ir", "irefer", "iref", "i2")),
)
"""The one table of channel names: role in the contract, XDI column, NXxas_trans detector."""


def ev_per_count_key(data_key: str) -> str:
    """Name of the configuration key that gives a channel's deposited energy per count.

    A detector that knows which photon energy, in eV, one of its counts stands for (an
    ion chamber with known gas, amplifier gain and V/F rate) puts that number into its
    configuration under this key. A reading then means ``counts * ev_per_count / E``
    absorbed photons, from which the uncertainty of mu(E) follows. Counts of a V/F
    converter are not themselves Poisson distributed, so without it no error is given.
    """
    return f"{data_key}_ev_per_count"


def dark_key(data_key: str) -> str:
    """Name under which the stream :data:`DARK_STREAM` has the dark current of a channel.

    It has one event at most: counts/s of a channel in counts, to be taken from its counts
    after multiplication by the dwell time, and else a value in the channel's own units, to
    be taken from it as it is. The timestamps tell when it was measured, which may be before
    the run: it is good until it gets old or a gain changes.
    """
    return f"{data_key}_dark"


def dark_error_key(data_key: str) -> str:
    """Name under which that stream has the standard deviation of a channel's dark current.

    In the unit of the dark current; without it the dark current is taken as exact.
    """
    return f"{dark_key(data_key)}_error"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Roles(_Model):
    """Which data key of the event documents plays which part."""

    energy: str
    i0: str | None = None
    itrans: str | None = None
    ifluor: str | None = None
    irefer: str | None = None
    dwell: str | None = None

    @property
    def channels(self) -> dict[str, str]:
        """Role to data key of the detector channels that are there, in the order of CHANNELS."""
        return {c.role: key for c in CHANNELS if (key := getattr(self, c.role))}


class XAFSContract(_Model):
    """What a start document says under ``xafs``.

    A run holds at most ``repeats`` sweeps over the same ``points_per_sweep`` energies, sweep
    after sweep in the stream ``primary``. Energies are in eV, and
    ``E - E0 = k_constant_ev_a2 * k**2`` with k in 1/Angstrom.

    Points are numbered through all sweeps: ``sweep * points_per_sweep + index``, from 0. The
    data key ``point_key`` holds that number for every event; without one, event ``seq_num`` is
    point ``first_point + seq_num - 1``. The data key ``quality_key`` is the empty string for a
    good point, and else says what was wrong with it. A point that is taken again has further
    events: of each point its last good event counts, and a point without one is missing.

    A run that ``continues`` another measures the same grid with the same roles; the points of
    both, by their numbers, are one measurement, in which the later run's good events count
    before the earlier's. The earlier run may itself continue one.
    """

    version: Literal[1] = 1
    mode: Mode
    roles: Roles
    e0_ev: float
    e0_shift_ev: float = 0.0
    k_constant_ev_a2: float
    points_per_sweep: PositiveInt
    repeats: PositiveInt = 1
    first_point: NonNegativeInt = 0
    """Number of the first point that this run measures; not 0 where it continues a run."""
    points: tuple[tuple[NonNegativeInt, PositiveInt], ...] | None = None
    """Numbers of the points that this run is to measure, as half-open ranges; None means all
    from `first_point` on. A run that continues another leaves out what that one has."""
    continues: str | None = None
    """Uid of the run that this one continues."""
    point_key: str | None = None
    quality_key: str | None = None
    grid: dict[str, Any] = Field(default_factory=dict)


class PowderRoles(_Model):
    """Which data key of a powder scan's events plays which part."""

    two_theta: str
    counts: str
    theta: str | None = None
    """The sample's angle, where the sample turns with the detector."""
    monitor: str | None = None
    """The incident beam."""
    dwell: str | None = None


class PowderContract(_Model):
    """What a start document says under ``powder``: a scan of a detector over two-theta.

    Angles are in degrees. ``roles.counts`` counts what is diffracted at the angle
    ``roles.two_theta``, in the stream ``primary``, one event a point.
    """

    version: Literal[1] = 1
    roles: PowderRoles
    wavelength_angstrom: PositiveFloat


class RunMetadata(_Model):
    """The scientific metadata of one run, read from its start document."""

    element: str | None = None
    edge: str | None = None
    sample_name: str | None = None
    is_experimental: bool = True
    xafs: XAFSContract | None = None
    powder: PowderContract | None = None
    families: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The XDI families as they came, family name to its items."""

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> "RunMetadata":
        """Read a start document.

        Parameters
        ----------
        start : mapping
            Start document of any run. What is absent stays None; a sample is taken from
            ``Sample`` or ``sample`` (a mapping with ``name``, or the name) or ``sample_name``.

        Raises
        ------
        pydantic.ValidationError
            When the document has a contract that does not follow :class:`XAFSContract` or
            :class:`PowderContract`.
        """
        families = {f: found for f in _FAMILIES if (found := _family(start.get(f)))}
        sample = _family(start.get("sample")) | families.get("Sample", {})
        if not _word(sample.get("name")) and (name := _word(start.get("sample_name"))):
            sample["name"] = name
        if sample:
            families["Sample"] = sample
        element = families.get("Element", {})
        contract, powder = start.get(CONTRACT_KEY), start.get(POWDER_KEY)
        return cls(
            element=_word(element.get("symbol")),
            edge=_word(element.get("edge")),
            sample_name=_word(sample.get("name")),
            is_experimental=bool(start.get("is_experimental", True)),
            xafs=None if contract is None else XAFSContract.model_validate(contract),
            powder=None if powder is None else PowderContract.model_validate(powder),
            families=families,
        )


_FAMILIES = ("Element", "Mono", "Scan", "Detector", "Sample", "Facility", "Beamline")


def _family(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    said = value is not None and not (hasattr(value, "__len__") and len(value) == 0)
    return {"name": str(value)} if said else {}


def _word(value: Any) -> str | None:
    """Text of anything: a sample may be called 5, and an edge 1."""
    return None if value is None else str(value)


def infer_roles(data_keys: Iterable[str], energy: str, dwell: str | None = None) -> Roles:
    """Roles by the usual names of the channels, in any case: I0, It or I1, Ir or I2, If.

    >>> infer_roles(["I0", "It", "mono_energy"], energy="mono_energy").channels
    {'i0': 'I0', 'itrans': 'It'}
    """
    by_lower = {key.lower(): key for key in reversed(list(data_keys))}
    found = {
        channel.role: next((by_lower[k] for k in channel.data_keys if k in by_lower), None)
        for channel in CHANNELS
    }
    return Roles(energy=energy, dwell=dwell, **found)
