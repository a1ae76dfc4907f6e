"""Who did best in a race of methods: by the first score, ties by the next one; without scores by the growth of the field's length."""

from __future__ import annotations

from separatrix.dynamics import Comparison, Observed

GROWTH = "the growth of the field's length"


def deciding(race: Comparison) -> list[str]:
    """What decides, in this order: the problem's scores of which is known which way is better; ``GROWTH`` where there are none."""
    return [name for name in race.better if name in race.rows[0].score] or [GROWTH]


def ranked(race: Comparison) -> list[Observed]:
    """By the medians of what decides, best first; lanes that stopped, or have no number, last."""
    return sorted(race.rows, key=lambda row: (_stopped(row), [_place(race, row, name) for name in deciding(race)]))


def tied(race: Comparison) -> list[str]:
    """The lanes that no score tells from the best one, itself included."""
    order = ranked(race)
    names = deciding(race)
    best = [_place(race, order[0], name) for name in names]
    return [row.name for row in order if not _stopped(row) and [_place(race, row, n) for n in names] == best]


def what_decided(race: Comparison) -> str:
    """In words: the score that told the best lane from the next one, and how clearly."""
    best, *others = ranked(race)
    if deciding(race) == [GROWTH]:
        return f"decided by {GROWTH}, there is no score."
    rivals = [row for row in others if not _stopped(row)]
    if not rivals:
        return "no other lane came through."
    even: list[str] = []
    for name in deciding(race):
        if _place(race, rivals[0], name) != _place(race, best, name):
            return _decided_by(name, race, best, rivals, even)
        even.append(name)
        rivals = [row for row in rivals if _place(race, row, name) == _place(race, best, name)]
    return f"{len(rivals) + 1} lanes are tied on {' and '.join(even)}; the first of them is named."


def _decided_by(name: str, race: Comparison, best: Observed, rivals: list[Observed], even: list[str]) -> str:
    higher = race.better[name] == "higher"
    worst, medians = best.score[name].low if higher else best.score[name].high, [r.score[name].median for r in rivals]
    clear = all(worst > m if higher else worst < m for m in medians if m == m)
    told = (
        "its worst seed is better than every other lane's median" if clear else "the seeds of the leading lanes overlap"
    )
    tie = f"{len(rivals) + 1} lanes are tied on {' and '.join(even)}; " if even else ""
    return f"{tie}decided by {name} over {len(race.seeds)} seeds; {told}."


def _stopped(row: Observed) -> bool:
    return any(status != "done" for status in row.status)


def _place(race: Comparison, row: Observed, name: str) -> tuple[bool, float]:
    """Sorts by one score, NaN last."""
    value = row.growth.median if name == GROWTH else row.score[name].median
    sign = -1 if race.better.get(name) == "higher" else 1
    return (True, 0.0) if value != value else (False, sign * value)
