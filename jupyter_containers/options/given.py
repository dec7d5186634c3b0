"""The types of keyword arguments for options; None is the same as omitting the argument."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

Switch = bool | None
Text = str | None
Number = int | str | None
Decimal = float | str | None
Texts = str | Iterable[str] | None
Pairs = Mapping[str, object] | Texts
if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_containers.options.limits import DeviceLimit, DeviceRequest
    from jupyter_containers.options.mounts import MountRequest
    from jupyter_containers.options.network import NetworkRequest
    from jupyter_containers.options.values import PortMapping

    Limits = DeviceLimit | Iterable[DeviceLimit] | Texts
    Devices = DeviceRequest | Iterable[DeviceRequest] | Texts
    Ports = int | PortMapping | str | Iterable[int | str | PortMapping] | None
    Networks = NetworkRequest | Iterable[NetworkRequest] | Texts
    Mounts = Iterable[MountRequest] | None
    Folder = Path | str | None
else:  # types of modules that are not loaded for the grammar
    Limits = Devices = Ports = Networks = Mounts = Folder = object
