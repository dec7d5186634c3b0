from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.build import checks
from jupyter_containers.build.checks import RULES, Finding, Policy
from jupyter_containers.errors import BuildError, SourceLocation

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_page(rule: checks.Rule) -> None:
    text = (ROOT / rule.page).read_text()
    assert text.startswith(f"# {rule.name}\n\n{rule.description}.\n")
    assert f"[{rule.name}]({rule.name}.md)" in (ROOT / "docs/checks/README.md").read_text()


def test_a_policy_chooses() -> None:
    def finding(rule: checks.Rule, line: int) -> Finding:
        return Finding(rule, "m", SourceLocation("D", line, line))

    found = [finding(checks.ONCE, 3), finding(checks.COPY_IGNORED, 2), finding(checks.SECRETS, 1)]
    assert [one.rule for one in Policy().applicable([*found, *found])] == [
        checks.SECRETS,
        checks.ONCE,
    ]
    policy = Policy.parse("skip=secretsusedinargorenv; experimental=CopyIgnoredFile;error=true")
    assert [one.rule for one in policy.applicable(found)] == [checks.COPY_IGNORED, checks.ONCE]
    assert policy.error
    assert Policy.parse("skip=all").applicable(found) == ()
    assert not Policy.parse("").error


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("VERSON", ["PATH", "VERSION"], " (did you mean $VERSION?)"),
        ("l", ["PATH", "a", "b"], " (did you mean $a?)"),
        ("UNSET", ["EMPTY"], ""),
        ("x", [], ""),
    ],
)
def test_near_names_are_proposed(name: str, known: list[str], said: str) -> None:
    assert checks.meant(name, known, "$") == said


def test_a_check_builds_nothing(bench: Any) -> None:
    from jupyter_containers.options.build import BuildOptions

    text = "FROM absent AS One\nRUN x\nCOPY nosuch $y\n"
    found = bench.builder.check(BuildOptions.of(bench.context, dockerfile=text))
    # The variables of an image that is not present are unknown.
    assert [one.rule for one in found] == [checks.STAGE_CASING]
    assert bench.layers.opened == 0
    assert bench.images.asked == []


def test_error_true_refuses_before_the_first_step(bench: Any) -> None:
    with pytest.raises(BuildError, match="lint violation found for rules: UndefinedVar") as caught:
        bench.build("# check=error=true\nFROM scratch\nRUN x\nENV a=$b\n")
    assert caught.value.location is not None
    assert caught.value.location.first_line == 4
    assert bench.layers.opened == 0
