"""The state of a stage during a build: image configuration, layers, arguments.

Precedence: ENV beats an ARG before it; an ARG after the ENV beats it if it has a value (its
default, ``--build-arg`` or the argument before FROM), as in BuildKit.  The image's environment is
ENV alone.  Proxy arguments are predefined for RUN only, and are excluded from history and cache
keys.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jupyter_containers.build.plan import PROXY_ARGS
from jupyter_containers.build.seams import BaseImage, LayerRef
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.image import ExecutionConfig, History, ImageConfig, RootFS

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(slots=True, kw_only=True)
class StageState:
    """The changing part of a build; :meth:`fork` returns a copy for a stage that continues it.

    ``args`` are the declared arguments in order, None without a value; ``overriding`` are those
    that beat an ENV of the same name.  ``inherited`` counts the layers of the base image.
    """

    platform: Platform
    config: ExecutionConfig
    author: str = ""
    history: list[History] = field(default_factory=list)
    layers: list[LayerRef] = field(default_factory=list)
    chain_id: str = ""
    args: dict[str, str | None] = field(default_factory=dict)
    overriding: set[str] = field(default_factory=set)
    cmd_set: bool = False
    workdir_set: bool = False
    inherited: int = 0

    @classmethod
    def empty(cls, platform: Platform) -> StageState:
        """Return the state of ``FROM scratch``."""
        config = ExecutionConfig(env=(f"PATH={DEFAULT_PATH}",), working_dir="/")
        return cls(platform=platform, config=config)

    @classmethod
    def of_image(cls, image: BaseImage) -> StageState:
        """Return the state of ``FROM`` an image; its ONBUILD triggers are not inherited."""
        config = msgspec.structs.replace(image.config.config, on_build=())
        if not any(entry.startswith("PATH=") for entry in config.env):
            config = msgspec.structs.replace(config, env=(*config.env, f"PATH={DEFAULT_PATH}"))
        return cls(
            platform=image.config.platform,
            config=config,
            author=image.config.author,
            history=list(image.config.history),
            layers=list(image.layers),
            chain_id=image.chain_id,
            inherited=len(image.layers),
        )

    def fork(self) -> StageState:
        """Return the state of a stage that continues this one; it inherits the arguments."""
        return StageState(
            platform=self.platform,
            config=msgspec.structs.replace(self.config, on_build=()),
            author=self.author,
            history=list(self.history),
            layers=list(self.layers),
            chain_id=self.chain_id,
            args=dict(self.args),
            overriding=set(self.overriding),
            workdir_set=self.workdir_set,
            inherited=self.inherited,
        )

    @property
    def env(self) -> dict[str, str]:
        """The image's environment by name."""
        pairs = (entry.partition("=") for entry in self.config.env)
        return {name: value for name, _, value in pairs}

    def variables(self) -> dict[str, str]:
        """Return the variables for expanding the words of the next instruction."""
        values = {name: value for name, value in self.args.items() if value is not None}
        overriding = {name: values[name] for name in self.overriding if name in values}
        return values | self.env | overriding

    def run_env(self, build_args: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the environment of a RUN, and the proxy variables to add to it."""
        values = self.variables()
        names = [*self.env, *(name for name in self.args if name not in self.env)]
        env = tuple(f"{name}={values[name]}" for name in names if name in values)
        proxies = tuple(
            f"{name}={value}"
            for name, value in sorted(build_args.items())
            if name in PROXY_ARGS and name not in values
        )
        return env, proxies

    def argument_values(self) -> dict[str, str]:
        """Return the declared arguments with their values in a RUN, as shown in the history."""
        values = self.variables()
        return {name: values.get(name, "") for name in self.args}

    @property
    def shell(self) -> tuple[str, ...]:
        """The shell of shell forms."""
        return self.config.shell or DEFAULT_SHELL

    def change(self, **fields: object) -> None:
        """Replace fields of the image's execution configuration."""
        self.config = msgspec.structs.replace(self.config, **fields)

    def image_config(self, created: str, labels: Mapping[str, str]) -> ImageConfig:
        """Return the finished configuration; entries without a time get ``created``."""
        history = tuple(
            one if one.created else msgspec.structs.replace(one, created=created)
            for one in self.history
        )
        config = self.config
        if labels:
            config = msgspec.structs.replace(config, labels={**config.labels, **labels})
        return ImageConfig(
            architecture=self.platform.architecture,
            os=self.platform.os,
            created=created,
            author=self.author,
            variant=self.platform.variant,
            config=config,
            rootfs=RootFS(diff_ids=tuple(layer.diff_id for layer in self.layers)),
            history=history,
        )
