"""Deliberate differences of `config` from Docker Compose 2.40.3, with the reasons."""

DIFFERENT = {
    "field-304-pid": "Docker Compose ends with a panic",
    "merge-63-environment": "a number in place of a mapping is refused; it vanishes there",
    "template-46": "the word of an operator that is not needed is not evaluated, as in a shell",
    "template-47": "the word of an operator that is not needed is not evaluated, as in a shell",
}
OTHER_YAML = {
    "whole-x-everywhere": "x- fields are shown at the top and in services, not deeper",
}
OTHER_HASH = {
    "whole-env-file-order": "the hash is of the environment with its files read",
    "whole-env-file-name-only": "the hash is of the environment with its files read",
}
