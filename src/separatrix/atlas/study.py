"""What a study declares, at which scale it runs, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from separatrix.atlas.claims import HOLDS, OPEN, Claim, overall
from separatrix.atlas.symptoms import SYMPTOMS
from separatrix.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """The declaration of a study; written as literals, so that the catalogue reads it without running the file.

    Attributes:
        key: of the work in docs/references.md.
        authors: as in BibTeX, joined by " and ".
        title: of the work.
        venue: journal or conference, or "arXiv".
        year: of publication.
        arxiv: its number there, empty if none.
        question: what the study asks, one sentence.
        methods: what is compared or used; the site has an index of them.
        symptoms: keys of ``SYMPTOMS``: what a user sees who should read this.
        picture: what the figure shows, in words.
        size: of the figure in inches.
        seconds: CPU-seconds that a full run may take.
        needs: extras of the package that it imports, such as ``transport``.
    """

    key: str
    authors: str
    title: str
    venue: str
    year: int
    question: str
    methods: tuple[str, ...]
    symptoms: tuple[str, ...]
    picture: str
    size: tuple[float, float] = (7.4, 3.0)
    arxiv: str = ""
    seconds: float = 600.0
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.symptoms) - set(SYMPTOMS):
            raise InputError(
                f"{self.title!r} names the symptoms {sorted(unknown)}; atlas/symptoms.py has {', '.join(SYMPTOMS)}. Take one of "
                "these, or add yours there with a sentence."
            )

    @property
    def bibtex(self) -> str:
        """The entry for a bibliography."""
        preprint = self.venue.lower() == "arxiv"
        lines = [("author", self.authors), ("title", f"{{{self.title}}}"), ("year", str(self.year))]
        lines += [] if preprint else [("journal", self.venue)]
        lines += [("eprint", self.arxiv), ("archiveprefix", "arXiv")] if self.arxiv else []
        kind = "misc" if preprint else "article"
        return f"@{kind}{{{self.key},\n" + "".join(f"  {name} = {{{text}}},\n" for name, text in lines) + "}"


@dataclass(frozen=True)
class Scale:
    """How large a run is: ``smoke`` proves the machinery in a second or two, ``full`` decides the claims."""

    name: str

    def pick(self, smoke: T, full: T) -> T:
        """The setting for this scale."""
        return full if self.name == "full" else smoke

    def seeds(self, smoke: int, full: int) -> range:
        """So many seeds, from 0 on; the same for every method compared, so that differences are paired."""
        return range(self.pick(smoke, full))


SMOKE, FULL = Scale("smoke"), Scale("full")
SCALES = {scale.name: scale for scale in (SMOKE, FULL)}


@dataclass(frozen=True)
class Outcome:
    """What ``run(scale)`` of a study returns.

    Attributes:
        claims: decided.
        controls: the same measurements where the claim must fail; one that holds shows that the experiment cannot tell.
        figure: numbers, lists and names for the study's ``draw``; small, since they are stored.
        notes: what a reader has to know besides: a bound that was changed and why, what was seen on the way.
        gradients: what was spent in gradient-equivalents, where that is the currency.
    """

    claims: tuple[Claim, ...]
    controls: tuple[Claim, ...]
    figure: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    gradients: float | None = None

    def __post_init__(self) -> None:
        if not self.claims or not self.controls:
            raise InputError("a study needs at least one claim and one control in which a claim must fail.")

    @property
    def verdict(self) -> str:
        """That of the claims together; ``undecided`` where a control did not fail."""
        return OPEN if self.blind else overall(self.claims)

    @property
    def blind(self) -> tuple[str, ...]:
        """The controls that hold although they must not."""
        return tuple(control.sentence for control in self.controls if control.verdict == HOLDS)
