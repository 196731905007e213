"""Amounts of money as whole nano-dollars, so that sums are exact.

1 USD = 1,000,000,000 nano. A token of the cheapest models costs tens of nano, and 64 bits hold
nine billion dollars. Outside, amounts are USD as floats; inside, what is added up is an int.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from .errors import InputError

__all__ = ["NANO_PER_USD", "to_nano", "to_usd"]

NANO_PER_USD: Final = 1_000_000_000

# Wide enough for any finite float: those have at most 309 digits before the point.
_EXACT: Final = Context(prec=400, rounding=ROUND_HALF_UP)
_QUICK_USD: Final = 1e6  # 15 digits of nano-dollars: no two such amounts are one float


def to_nano(usd: float | Decimal) -> int:
    """The whole nano-dollars nearest to `usd`, halves away from zero; InputError if not finite.

    A float counts as the decimal number it prints as: 0.1 is a tenth.
    """
    if type(usd) is float and -_QUICK_USD < usd < _QUICK_USD:
        # Amounts are mostly whole nano-dollars already. If n of them are this very float, it prints
        # as n nano-dollars, since no shorter number can: the same as below, without decimals.
        nano = round(usd * NANO_PER_USD)
        if nano / NANO_PER_USD == usd:
            return nano
    amount = usd if isinstance(usd, Decimal) else Decimal(repr(float(usd)))
    if not amount.is_finite():
        raise InputError(f"an amount of money must be a finite number, found {usd}")
    return int(_EXACT.multiply(amount, NANO_PER_USD).to_integral_value(context=_EXACT))


def to_usd(nano: int) -> float:
    """The float nearest to so many nano-dollars; `to_nano` gives them back up to 4,000,000 USD."""
    return nano / NANO_PER_USD
