"""Write docs/atlas_claims.md from the stored results: every claim of the atlas that does not hold or is undecided.

python docs/make_atlas_page.py
"""

from pathlib import Path

from separatrix.atlas import Claim, catalogue, load_result
from separatrix.atlas.claims import FAILS, HOLDS, OPEN
from separatrix.atlas.stored import SHIPPED
from separatrix.cli.atlas_reading import bound, measured

PAGE = Path(__file__).parent / "atlas_claims.md"

HEAD = """# Claims that did not hold

Of {claims} claims in {studies} studies of [the atlas](atlas.md), at full scale: {holds} hold, {fails} do not, {open} are undecided.
A number over seeds stands with its interval. A bound was written down before the run that decided it; where it was changed,
the study says so. This page is written by `python docs/make_atlas_page.py` from the stored results.
"""


def page() -> str:
    """The whole page."""
    results = {name: load_result(SHIPPED, name) for name in catalogue()}
    claims = [(name, claim) for name, result in results.items() if result for claim in result.outcome.claims]
    counted = {verdict: [pair for pair in claims if pair[1].verdict == verdict] for verdict in (HOLDS, FAILS, OPEN)}
    head = HEAD.format(
        claims=len(claims),
        studies=sum(result is not None for result in results.values()),
        **dict(zip(("holds", "fails", "open"), map(len, counted.values()), strict=True)),
    )
    blocks = [head, "## Does not hold\n", table(counted[FAILS]), "## Undecided\n"]
    blocks += ["The bound lies inside the interval.\n", table(counted[OPEN])]
    return "\n".join(blocks)


def table(rows: list[tuple[str, Claim]]) -> str:
    """One claim a row, in the order of families."""
    lines = ["| study | claim | measured | bound |", "| --- | --- | --- | --- |"]
    for name, claim in rows:
        sentence = claim.sentence.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
        lines.append(f"| `{name}` | {sentence} | {measured(claim)} | {bound(claim)} |")
    return "\n".join(lines) + "\n" if rows else "None.\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
