"""Numbers as a reader wants them in sentences and tables: three digits, a real minus sign, a dash for what is not there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

Value = bool | int | float | str | None

MISSING = "–"


def significant(x: float, digits: int = 2) -> str:
    """A positive number with so many significant digits and no exponent; the page's script has the same function.

    Example:
        >>> significant(0.00818), significant(82.9), significant(1234.5)
        ('0.0082', '83', '1235')
    """
    if x == 0:
        return "0"
    places = min(100, max(0, digits - 1 - math.floor(math.log10(abs(x)))))
    # Ties go up, as in the script's toFixed.
    return f"{Decimal(x).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def number(x: float | None, digits: int = 3) -> str:
    """A number for a table cell, with an exponent only outside 0.001 .. 100 000; whole numbers up to 10^9 have none.

    Example:
        >>> number(-2.7), number(3e-4), number(54000), number(3.77e24), number(None)
        ('−2.70', '3.00e−4', '54000', '3.77e24', '–')
    """
    if x is None or math.isnan(x):
        return MISSING
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if isinstance(x, int) or (x == round(x) and 100 <= abs(x) < 1e9):
        return f"{round(x)}".replace("-", "−")
    if x != 0 and not 1e-3 <= abs(x) < 1e5:
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    text = significant(abs(x), digits)
    return f"−{text}" if x < 0 else text


def complex_number(real: float, imag: float) -> str:
    """Both parts to the third decimal, up to the fifth where one is small, more where both are.

    Example:
        >>> complex_number(0.0, -0.076), complex_number(0.00266, 0.0679), complex_number(-2.7, 0.0)
        ('0.000 − 0.076i', '0.0027 + 0.0679i', '−2.700')
    """
    sizes = [abs(part) for part in (real, imag) if part]
    places = 3
    if sizes and max(sizes) < 0.01:
        places = 2 - math.floor(math.log10(max(sizes)))
    elif sizes and min(sizes) >= 5e-6:
        places = min(5, max(3, 1 - math.floor(math.log10(min(sizes)))))
    left = f"{real:.{places}f}".replace("-", "−")
    if not float(left.replace("−", "-")):
        left = left.lstrip("−")
    return left if imag == 0 else f"{left} {'−' if imag < 0 else '+'} {abs(imag):.{places}f}i"


def growth_percent(modulus: float | None) -> str:
    """The change of an amplitude per step in per cent, or as a factor where it doubles and more.

    Example:
        >>> growth_percent(1.0082), growth_percent(0.6), growth_percent(5.06), growth_percent(1 + 1e-9)
        ('+0.82%', '−40%', '× 5.1', '0%')
    """
    if modulus is None:
        return MISSING
    if modulus >= 100:
        return f"× {times(modulus)}"
    if modulus >= 2:
        return f"× {significant(modulus)}"
    change = 100 * (modulus - 1)
    if abs(change) < 5e-5:
        return "0%"
    return f"{'−' if change < 0 else '+'}{significant(abs(change))}%"


def times(factor: float) -> str:
    """A factor to two digits, with spaces between its thousands and a power of ten where it is past counting.

    Example:
        >>> times(1.71), times(1072.9), times(162754.8), times(3.2e9)
        ('1.7', '1100', '160 000', '3.2e9')
    """
    if not factor < 1e6:
        return exact(float(f"{factor:.2g}"))
    if factor < 100:
        return number(factor, 2)
    rounded = round(float(f"{factor:.2g}"))
    return f"{rounded:,}".replace(",", " ") if rounded >= 10_000 else str(rounded)


def exact(x: float | None) -> str:
    """A number with the digits that matter in a comparison, none that don't.

    Example:
        >>> exact(1.00818), exact(0.1), exact(-6.0), exact(2e-7)
        ('1.008', '0.1', '−6', '2e−7')
    """
    return MISSING if x is None else re.sub(r"e([+-])0*", r"e\1", f"{x:.4g}").replace("e+", "e").replace("-", "−")


def with_error(value: float | None, error: float | None) -> str:
    """``value ± error``, the error where there is one."""
    return number(value) if error is None or value is None else f"{number(value)} ± {number(error, 1)}"


def plain(value: object) -> str:
    """Any JSON value on one line, for a definition list.

    Example:
        >>> plain({"kind": "Adam", "betas": [0.5, 0.999]})
        'kind Adam, betas 0.5 / 0.999'
    """
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " / ".join(plain(item) for item in value) or "none"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ") if abs(value) >= 10_000 else str(value)
    return exact(value) if isinstance(value, float) else str(value)
