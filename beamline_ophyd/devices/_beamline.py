"""The devices of a beamline, built from one YAML file."""

import keyword
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from guarneri import Instrument
from guarneri.exceptions import InvalidConfiguration
from guarneri.helpers import dynamic_import
from ophyd import Device

from ._connect import BeamlineConnectionError, connect, disconnect
from ._pvs import PVNameError, with_pvs

__all__ = ["SIMULATOR", "Beamline", "BeamlineFileError", "load_beamline"]

SIMULATOR = Path(__file__).parent / "beamlines" / "simulator.yaml"
OPTIONAL = "optional"
BASELINE = "baseline"
EXAMPLE = 'Shutter: [{name: shutter, prefix: "BL02:"}]'

_MACRO = re.compile(r"\$\((\w+)\)")


class BeamlineFileError(ValueError):
    """A beamline's file that cannot be used; the message names the file and the device."""


class Beamline:
    """Devices by name and by label, in the order of their file.

    Parameters
    ----------
    devices : mapping of str to device
        ophyd or ophyd-async devices by name.
    labels : mapping of str to set of str, optional
        Labels of each device. Those of the components come from their classes.
    """

    def __init__(
        self, devices: Mapping[str, Any], labels: Mapping[str, set[str]] | None = None
    ) -> None:
        self._devices = dict(devices)
        self._labels = dict(labels or {})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)})"

    def __getitem__(self, name: str) -> Any:
        if name not in self._devices:
            raise KeyError(f"the beamline has no device {name!r}; it has {', '.join(self)}")
        return self._devices[name]

    def __contains__(self, name: object) -> bool:
        return name in self._devices

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)

    @property
    def devices(self) -> list[Any]:
        """All devices."""
        return list(self._devices.values())

    def get(self, name: str, default: Any = None) -> Any:
        """The device of this name, or the default."""
        return self._devices.get(name, default)

    def labelled(self, label: str) -> list[Any]:
        """Devices with a label, and components whose class gives it to them."""
        found: list[Any] = []
        for name, device in self._devices.items():
            if label in self._labels.get(name, ()):
                found.append(device)
            else:
                found.extend(_components(device, label))
        return found

    def connect(self, timeout: float = 5.0) -> list[str]:
        """Connect to everything; what is labelled "optional" may be away, and is given up.

        Devices of ophyd-async connect in the event loop of a RunEngine, which has to be there.

        Parameters
        ----------
        timeout : float
            Seconds for all devices together; the optional ones get no more than what the
            others leave, or one second.

        Returns
        -------
        list of str
            Names of the devices given up.

        Raises
        ------
        BeamlineConnectionError
            When a device that is not optional does not answer.
        """
        optional = [name for name in self if OPTIONAL in self._labels.get(name, ())]
        connect(*(self[name] for name in self if name not in optional), timeout=timeout)
        missing = []
        for name in optional:
            try:
                # The others have connected, so what is there has had its time.
                connect(self[name], timeout=min(timeout, 1.0))
            except BeamlineConnectionError:
                missing.append(name)
        for name in missing:
            disconnect(self._devices.pop(name))
        return missing

    def disconnect(self) -> None:
        """Leave all PVs."""
        disconnect(*self.devices)


def load_beamline(file: str | Path = SIMULATOR, **macros: str) -> Beamline:
    """Build the devices that a YAML file names; nothing waits for a PV.

    A key of the file is a class of :mod:`beamline_ophyd.devices`, or the dotted path of any other
    class of ophyd or ophyd-async devices; below it stands a list of devices, each with the
    class's own arguments (``name``, ``prefix``, ...) and two more: ``labels``, a list
    of words ("baseline" devices are read before and after each run, "optional" ones may be
    away), and, for ophyd devices, ``pvs``, which names PVs one by one, see
    :func:`~beamline_ophyd.devices.with_pvs`.

    Parameters
    ----------
    file : path
        By default the file of the simulated beamline, which wants the macro ``P``.
    **macros : str
        What ``$(NAME)`` in the file stands for.

    Raises
    ------
    BeamlineFileError
        For a file that cannot be read or used.

    Examples
    --------
    >>> from beamline_ophyd.devices import load_beamline
    >>> beamline = load_beamline(P="BL02:")
    >>> beamline["mono"].energy.prefix
    'BL02:MONO:ENERGY'
    """
    from beamline_ophyd import devices as classes

    path = Path(file).expanduser()
    makers = {name: getattr(classes, name) for name in classes.__all__}
    makers = {
        name: maker
        for name, maker in makers.items()
        if isinstance(maker, type) and issubclass(maker, Device)
    }
    instrument = _Instrument(makers, macros)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            instrument.load(path, config_format="yaml")
    except OSError as error:
        raise BeamlineFileError(f"{path}: {error.strerror}; name a beamline's YAML file") from error
    except Exception as error:
        disconnect(*instrument.made.values())
        raise BeamlineFileError(f"{path}: {_in_words(error)}") from error
    return Beamline(instrument.made, instrument.labels)


class _Instrument(Instrument):
    """guarneri's loader, with macros, labels and PV names."""

    def __init__(self, classes: Mapping[str, Any], macros: Mapping[str, str]):
        super().__init__(classes)
        self.macros = macros
        self.made: dict[str, Any] = {}
        self.labels: dict[str, set[str]] = {}

    def parse_yaml_file(self, config_file: Any) -> list[dict[str, Any]]:
        """All entries, checked before the first device looks for its PVs."""
        content = yaml.safe_load(config_file)
        if not isinstance(content, Mapping):
            raise BeamlineFileError(f"it has no classes of devices; write {EXAMPLE}")
        entries = []
        names: set[str] = set()
        for kind, devices in content.items():
            self._check_class(str(kind))
            if not isinstance(devices, list) or not all(isinstance(d, Mapping) for d in devices):
                raise BeamlineFileError(f"below {kind} stands no list of devices; write {EXAMPLE}")
            for device in devices:
                _check_entry(str(kind), device, names)
                entry = {"device_class": kind, "args": (), "kwargs": self._filled_in(device)}
                entries.append(entry)
        return entries

    def _check_class(self, name: str) -> None:
        if name in self.device_classes:
            return
        if "." in name:
            try:
                dynamic_import(name)
            except (ImportError, AttributeError) as error:
                raise BeamlineFileError(
                    f"there is no class {name} ({error}); give the dotted path of one that can be "
                    "imported"
                ) from error
            return
        raise BeamlineFileError(
            f"there is no device class {name}; give the dotted path of a class, or one "
            f"of {', '.join(sorted(self.device_classes))}"
        )

    def make_device(self, Klass: Any, args: Any, kwargs: Mapping[str, Any], fake: bool) -> Any:  # noqa: N803
        options = dict(kwargs)
        name = options["name"]
        labels = set(options.pop("labels", ()))
        try:
            if (pvs := options.pop("pvs", None)) is not None:
                Klass = with_pvs(Klass, pvs)  # noqa: N806
            device = super().make_device(Klass, args, options, fake)
        except Exception as error:
            raise BeamlineFileError(f"device {name!r}: {_in_words(error)}") from error
        self.made[name] = device
        self.labels[name] = labels
        return device

    def _filled_in(self, value: Any) -> Any:
        if isinstance(value, str):
            return _MACRO.sub(self._macro, value)
        if isinstance(value, Mapping):
            return {key: self._filled_in(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled_in(item) for item in value]
        return value

    def _macro(self, found: re.Match[str]) -> str:
        if found[1] not in self.macros:
            raise BeamlineFileError(
                f"the macro {found[0]} has no value; given are "
                f"{', '.join(sorted(self.macros)) or 'none'}"
            )
        return self.macros[found[1]]


def _check_entry(kind: str, entry: Mapping[str, Any], names: set[str]) -> None:
    """Check what every device has: a name of its own, among those so far, and labels."""
    name = str(entry.get("name", ""))
    if not name.isidentifier() or keyword.iskeyword(name) or name in names:
        raise BeamlineFileError(
            f"device {kind} got the name {name!r}; give each device a name of its own, as a "
            "variable of Python may have"
        )
    names.add(name)
    labels = entry.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise BeamlineFileError(f"device {name!r}: labels is {labels!r}; give a list, [{BASELINE}]")


def _components(device: Any, label: str) -> Iterator[Any]:
    for name in getattr(device, "component_names", ()):
        component = getattr(device, name)
        if label in component._ophyd_labels_:
            yield component
        else:
            yield from _components(component, label)


def _in_words(error: Exception) -> str:
    if isinstance(error, BeamlineFileError | PVNameError | InvalidConfiguration):
        return str(error)
    return f"{type(error).__name__}: {error}"
