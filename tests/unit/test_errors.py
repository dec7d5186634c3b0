from __future__ import annotations

import inspect

import pytest

from jupyter_containers import errors


def _classes() -> list[type[errors.ContainersError]]:
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.ContainersError)
    ]


def test_the_tree_in_the_docstring_names_every_class() -> None:
    assert errors.__doc__ is not None
    drawn = errors.__doc__
    assert [cls.__name__ for cls in _classes() if cls.__name__ not in drawn] == []


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidReferenceError("x"), ValueError),
        (errors.ImageNotFoundError("x"), LookupError),
        (errors.DigestMismatchError("x"), errors.VerificationError),
    ],
)
def test_classes_are_also_what_callers_catch(error: Exception, builtin: type) -> None:
    assert isinstance(error, builtin)


def test_a_report_has_message_source_output_and_hint() -> None:
    location = errors.SourceLocation("Dockerfile", 3, 4, ("RUN make \\", "  all"))
    error = errors.StepFailedError(
        "the command returned 2",
        exit_code=2,
        log_tail=["cc: not found"],
        location=location,
        hint="install a compiler",
    )
    assert error.report().splitlines() == [
        "StepFailedError: the command returned 2",
        "  Dockerfile:3",
        "  >   3 | RUN make \\",
        "        | ^^^",
        "  >   4 |   all",
        "  last output:",
        "  | cc: not found",
        "  hint: install a compiler",
    ]
    assert error._render_traceback_() == error.report().splitlines()
    assert str(error) == "the command returned 2"


def test_a_mark_puts_the_caret_under_the_culprit() -> None:
    location = errors.SourceLocation("Dockerfile", 3, 4, ("ENV a=1 \\", "\tb=${c"))
    marked = errors.excerpt_lines(location.at("${c", 2))
    assert marked[-2:] == ["  >   4 |  b=${c", "        |      ^"]
    assert errors.excerpt_lines(location.at("a=1"))[2] == "        |     ^^^"
    assert errors.excerpt_lines(location.at("gone")) == errors.excerpt_lines(location)
