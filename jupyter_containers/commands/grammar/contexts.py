"""The commands of contexts, and the flag that selects one."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FORMAT, INSPECT
from jupyter_containers.commands.words import Flag, Operand, Verb

# Accepted by every command, and before it.
CONTEXT = Flag("context", "Run the command in this context", metavar="NAME")
_NAME = Operand("name", "CONTEXT")
_KUBERNETES = Flag(
    "kubernetes",
    "The cluster: namespace=NAME,registry=HOST/PREFIX[,kubeconfig=FILE,context=NAME,owner=NAME]",
    metavar="ENDPOINT",
)
_DESCRIPTION = Flag("description", "Description of the context")

VERBS: tuple[Verb, ...] = (
    Verb(
        "context create",
        "Create a context: a place where containers run",
        "contexts:create",
        (_DESCRIPTION, _KUBERNETES),
        (_NAME,),
        examples=(
            (
                'context create lab --kubernetes "namespace=lab,registry=registry.example/team"',
                "containers run in a namespace of a Kubernetes cluster",
            ),
        ),
    ),
    Verb(
        "context use",
        "Make a context the current one",
        "contexts:use",
        (),
        (_NAME,),
        examples=(("context use default", "this machine"),),
    ),
    Verb(
        "context ls",
        "List the contexts",
        "contexts:ls",
        (FORMAT, Flag("quiet", "Show only the names", "bool", "q")),
        (),
        ("context list",),
        examples=(("context ls", ""),),
    ),
    Verb(
        "context show",
        "Show the name of the current context",
        "contexts:show",
        examples=(("context show", ""),),
    ),
    Verb(
        "context inspect",
        "Show details of contexts",
        "contexts:inspect",
        INSPECT,
        (Operand("names", "CONTEXT", "any"),),
        examples=(("context inspect default", ""),),
    ),
    Verb(
        "context update",
        "Change a context",
        "contexts:update",
        (_DESCRIPTION, _KUBERNETES),
        (_NAME,),
        examples=(('context update lab --kubernetes "owner=ann"', "the other values stay"),),
    ),
    Verb(
        "context rm",
        "Remove contexts",
        "contexts:remove",
        (Flag("force", "Also remove the current context", "bool", "f"),),
        (Operand("names", "CONTEXT", "some"),),
        ("context remove",),
        examples=(("context rm -f lab", ""),),
    ),
)
