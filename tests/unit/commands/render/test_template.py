from __future__ import annotations

import json

import pytest

from jupyter_containers.commands.render.template import Template
from jupyter_containers.errors import InvalidArgumentError

VALUE = {
    "Name": "/web",
    "State": {"ExitCode": 0, "Running": True, "Error": ""},
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"x.y": "z"}},
    "Networks": {"a": {"IP": "10.0.0.2"}, "b": {"IP": "10.0.1.2"}},
    "Ports": None,
    "Bindings": {"80/tcp": [{"HostPort": "8000"}]},
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.Name}}", "/web"),
        ("{{ .Name }}!", "/web!"),
        ("{{.State.ExitCode}}", "0"),
        ("{{.State.Running}}", "true"),
        ("{{json .State}}", '{"ExitCode":0,"Running":true,"Error":""}'),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ('{{join .Config.Env ","}}', "A=1,B=2"),
        ('{{index .Config.Labels "x.y"}}', "z"),
        ("{{index .Config.Env 1}}", "B=2"),
        ("{{len .Config.Env}}", "2"),
        ('{{(index .Networks "a").IP}}', "10.0.0.2"),
        ('{{(index (index .Bindings "80/tcp") 0).HostPort}}', "8000"),
        ('{{json (index .Bindings "80/tcp") }}', '[{"HostPort":"8000"}]'),
        ("{{upper .Name}}", "/WEB"),
        ("{{.Name | upper | json}}", '"/WEB"'),
        ("{{range .Networks}}{{.IP}} {{end}}", "10.0.0.2 10.0.1.2 "),
        ("{{range .Config.Env}}[{{.}}]{{end}}", "[A=1][B=2]"),
        ("{{range $i, $e := .Config.Env}}{{$i}}:{{$e}} {{end}}", "0:A=1 1:B=2 "),
        ("{{range $e := .Config.Env}}{{$e}}{{$.Name}}{{end}}", "A=1/webB=2/web"),
        ("{{range $name, $value := .Config.Labels}}{{$name}}={{$value}}{{end}}", "x.y=z"),
        ("{{with $state := .State}}{{$state.ExitCode}}{{end}}", "0"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .State.Error}}bad{{else}}good{{end}}", "good"),
        ("{{with .State}}{{.ExitCode}}{{end}}", "0"),
        ("{{with .State}}{{$.Name}}{{end}}", "/web"),
        ("{{if eq .State.ExitCode 0}}ok{{end}}", "ok"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[x.y:z]"),
        ("{{.Ports}}", "map[]"),
        ("{{.Name}}\\t{{.Name}}", "/web\t/web"),
        ("a {{- .Name -}} b", "a/webb"),
        ("{{/* note */}}x", "x"),
        ('{{printf "%s=%d" .Name 3}}', "/web=3"),
        ("no actions", "no actions"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{json .State.Health}}", "null"),
        (
            "{{$s := .State}}{{$s.ExitCode}}{{range .Config.Env}}{{$s.Running}} {{end}}",
            "0true true ",
        ),
        ('{{printf "%q %t %x %v" .Name .State.Running 255 .State.Running}}', '"/web" true ff true'),
        ("{{pad .Name 1 2}}|{{pad .State.Error 1 2}}", " /web  |"),
        ('{{join (split .Name "") "-"}} {{slice .Name 1 3}} {{slice .Name 2}}', "/-w-e-b we eb"),
        ("{{gt 2 1}} {{ge 1 2}} {{lt .State.ExitCode 1}} {{le 3 2}}", "true false true false"),
        ("{{if .State.Error}}a{{else if .State.Running}}b{{else}}c{{end}}d", "bd"),
        ("{{if .State.Error}}a{{else if .Ports}}b{{else if .Ports}}e{{else}}c{{end}}d", "cd"),
    ],
)
def test_render(source: str, text: str) -> None:
    assert Template(source).render(VALUE) == text


def test_json_of_everything() -> None:
    assert json.loads(Template("{{json .}}").render(VALUE)) == VALUE


@pytest.mark.parametrize(
    "source",
    [
        "{{.Nam}}",
        "{{.Name.X}}",
        "{{.Name",
        "{{range .Networks}}x",
        "{{end}}",
        "{{nosuch .Name}}",
        "{{$nosuch}}",
        "{{}}",
        "{{join .Config.Env}}",
        "{{.Name | }}",
        "{{range .Name}}{{end}}",
        "{{index .Config.Env 9}}",
    ],
)
def test_mistakes_are_one_clear_error(source: str) -> None:
    with pytest.raises(InvalidArgumentError, match="template"):
        Template(source).render(VALUE)


def test_an_unknown_field_names_the_near_ones() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Template("{{.State.ExitCod}}").render(VALUE)
    assert "ExitCode" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{with .Labels}}a{{else with .State}}{{.Status}}{{end}}", "up"),
        ("{{with .Labels}}a{{else if .State}}{{.State.Status}}{{else}}c{{end}}", "up"),
        ("{{range .Names}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{range .Names}}{{if eq . `b`}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ('{{define "x"}}<{{.}}>{{end}}{{range .Names}}{{template "x" .}}{{end}}', "<a><b><c>"),
        ("{{.Binds}} {{.Init}} {{.Labels.nosuch}}", "[] <nil> <no value>"),
    ],
)
def test_blocks_of_newer_templates(source: str, text: str) -> None:
    """As Docker 28.5 prints them: ``else with`` is newer than Docker 20.10."""
    value = {"Labels": {}, "State": {"Status": "up"}, "Names": ["a", "b", "c"]}
    assert Template(source).render(value | {"Binds": None, "Init": None}) == text


@pytest.mark.parametrize(
    "source",
    ["{{break}}", "{{if .A}}{{continue}}{{end}}", '{{template "nosuch"}}', "{{define}}",
     '{{define "x"}}', '{{if .A}}{{define "x"}}{{end}}{{end}}', "{{else with .A}}{{end}}",
     "{{if .A}}{{else}}{{else if .A}}{{end}}"],
)  # fmt: skip
def test_blocks_that_are_wrong_are_refused(source: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Template(source).render({"A": 1})
