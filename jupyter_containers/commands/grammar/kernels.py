"""The commands of kernels that run in containers."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Operand, Verb

VERBS: tuple[Verb, ...] = (
    Verb(
        "kernel install",
        "Install an image as a kernel: its notebooks run in containers",
        "kernels:install",
        (
            Flag("cpus", "Number of CPUs of each kernel"),
            Flag("display-name", "Name in the launcher (Python in IMAGE)"),
            Flag("memory", "Memory limit of each kernel", "text", "m"),
            Flag("name", "Name of the kernel spec (by default from the image's name)"),
            Flag("option", "Another option of run, such as --volume=data:/data", "list"),
            Flag(
                "sys-prefix",
                "Install into this Python environment instead of for this user",
                "bool",
            ),
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        (Operand("image", "IMAGE"),),
        examples=(
            ("kernel install python:3.11-slim", "then choose it in the launcher"),
            ("kernel install -m 2g --option --volume=data:/data app:1", "with limits and a volume"),
        ),
    ),
    Verb(
        "kernel rm",
        "Remove the kernels of images; the images stay",
        "kernels:remove",
        (),
        (Operand("names", "NAME", "some"),),
        ("kernel remove",),
        examples=(("kernel rm app-1", ""),),
    ),
)
