"""What all directives over records and tables share."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from .evidence import EvidenceError

PAGES = "pathogan_evidence_pages"


class EvidenceDirective(SphinxDirective):
    """A directive that turns evidence into nodes; a mistake in it is an error on its line.

    Its page is read again at every build: a new record is a new file, which no list of
    dependencies can know beforehand.
    """

    @property
    def root(self) -> Path:
        """The folder that is being built."""
        return Path(self.env.srcdir)

    def evidence(self) -> list[nodes.Node]:
        """The nodes to show. Raises `EvidenceError` for evidence that is not as it should be."""
        raise NotImplementedError

    def depend_on(self, *paths: Path) -> None:
        """Rebuild the page when one of these changes."""
        for path in paths:
            self.env.note_dependency(str(path))

    def run(self) -> list[nodes.Node]:
        pages(self.env).add(self.env.docname)
        try:
            return self.evidence()
        except EvidenceError as error:
            return [self.state_machine.reporter.error(f"{self.name}: {error}", line=self.lineno)]


def pages(env: BuildEnvironment) -> set[str]:
    """The documents that hold such a directive."""
    if not hasattr(env, PAGES):
        setattr(env, PAGES, set())
    return getattr(env, PAGES)


def read_again(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Handler of `env-get-outdated`."""
    return sorted(pages(env) & set(env.all_docs))


def merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    """Handler of `env-merge-info`: what a parallel reader found."""
    pages(env).update(pages(other) & set(docnames))
