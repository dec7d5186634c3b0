"""Instructions that change files: the inputs of their result, and their execution.

Life of a file step: *described* (its key is known, nothing was changed) → found in the cache, or
executed in a workspace and committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from jupyter_containers.build.cache import StepKey
from jupyter_containers.build.checks import Finding
from jupyter_containers.build.context import LocalContext
from jupyter_containers.build.contexts import Contexts
from jupyter_containers.build.instructions import Instruction
from jupyter_containers.build.seams import ExtractArchive, LayerStore, OutputSink, Workspace
from jupyter_containers.build.state import StageState
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.errors import BuildError, SourceLocation
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.options.build import SecretSource, StepMeans
from jupyter_containers.trees.rooted import Root


@dataclass(frozen=True, slots=True)
class FileStep:
    """A described step.

    ``quick`` is a key that can be computed without reading other layers, if ``key`` cannot: it is
    tried first.  ``key`` may open workspaces, which live until the step ends.  A ``detached`` step
    works on an empty root and depends on no earlier step.
    """

    quick: StepKey | None
    key: Callable[[], StepKey]
    act: Callable[[Workspace], None]
    history: str
    detached: bool = False


@dataclass(slots=True, kw_only=True)
class StepContext:
    """The environment for describing and executing one step.

    ``chain_of`` returns the chain ID of the stage or image that ``--from`` names.  ``stack`` closes
    everything opened for the step.  ``keep_times`` leaves the times of files unchanged, even those
    after the source date.
    """

    instruction: Instruction
    state: StageState
    step_id: str
    context: LocalContext
    contexts: Contexts
    layers: LayerStore
    extract: ExtractArchive | None
    chain_of: Callable[[str], str]
    stack: ExitStack
    cancel: CancelToken
    output: OutputSink
    build_args: Mapping[str, str]
    network: str
    trust_host_ca: bool
    source_date_epoch: int | None
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    ssh: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    keep_times: bool = False
    step_means: StepMeans = field(default_factory=StepMeans)

    def tree_of(self, chain_id: str) -> SourceTree:
        """Return the files of a stack of layers; open until the step ends."""
        workspace = self.stack.enter_context(self.layers.workspace(chain_id))
        # A folder's descriptor works in every thread, whatever mounts that thread sees.
        root = self.stack.enter_context(workspace.call(Root))
        return SourceTree(root, keep_owner=True)

    @property
    def location(self) -> SourceLocation:
        """The location of the instruction."""
        return self.instruction.location

    def note(self, finding: Finding) -> None:
        """Report a finding of a build check."""
        self.findings.append(finding)

    def scratch(self) -> Path:
        """Return an empty folder that is removed after the build."""
        return self.contexts.scratch()

    def fail(self, message: str, *, hint: str = "") -> BuildError:
        """Return an error with the instruction's location."""
        return BuildError(
            message,
            location=self.instruction.location,
            instruction=self.instruction.source,
            hint=hint,
        )

    def base_parts(self, *, detached: bool = False) -> dict[str, str]:
        """Return the parts of every key; a detached step has no parent."""
        parts = {
            "instruction": self.instruction.keyword,
            "parent": "" if detached else self.state.chain_id,
            "platform": str(self.state.platform),
        }
        if self.source_date_epoch is not None and not self.keep_times:
            parts["epoch"] = str(self.source_date_epoch)
        return parts
