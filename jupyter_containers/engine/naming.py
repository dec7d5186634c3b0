"""Identifiers, and the generated names of containers."""

from __future__ import annotations

import os

from jupyter_containers.lazy_modules import secrets

_QUALITIES = """
able agile amber ample apt bold brave breezy bright brisk calm candid careful cheery civil clear
clever cosy crisp curious daring deft eager early earnest easy fair fancy fine fleet fond frank
free fresh gentle giving glad golden grand green handy happy hardy honest humble ideal jolly
keen kind level light lively lucid lucky mellow merry mild modest neat nimble noble patient
placid plain polite proud prudent quick quiet rapid ready robust rosy shrewd silent simple
sincere sleek smart snug sober solid sound spry steady stout sunny swift tender tidy true upbeat
vivid warm wise witty zesty
"""
_THINGS = """
acorn anchor aspen badger basil beacon birch bramble brook canyon cedar clover comet coral crane
cricket cypress dahlia delta dolphin drum ember falcon fern finch fjord flint fox garnet gecko
glacier grove gull harbor hare hazel heron hickory ibis iris island ivy jasper juniper kestrel
kite lagoon lantern larch lark lemur lilac linden lotus lynx magpie maple marlin meadow meteor
mint moss nectar oak oasis olive orchid osprey otter owl pebble pine plover plum pollen poplar
prairie quail quartz raven reed ridge robin saffron sage salmon sequoia sparrow spruce summit
swallow tern thistle tulip turtle valley walnut willow wren
"""


def new_id() -> str:
    """Return 64 random hexadecimal characters."""
    return secrets.token_hex(32)


def friendly_name() -> str:
    """Return a readable random name such as ``brisk_otter``."""
    return f"{secrets.choice(_QUALITIES.split())}_{secrets.choice(_THINGS.split())}"


STEP_PREFIX = "build-"


def step_name() -> str:
    """Return a new name for a build step that identifies the process that runs it."""
    from jupyter_containers.runtime.process import ProcessIdentity

    owner = ProcessIdentity.of(os.getpid())
    assert owner is not None  # this process is alive
    return f"{STEP_PREFIX}{owner.pid}-{owner.start_time}-{secrets.token_hex(4)}"
