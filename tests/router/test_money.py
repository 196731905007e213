"""Money is exact: what is added up as nano-dollars does not drift, and comes back as it was."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InputError
from router.money import NANO_PER_USD, to_nano, to_usd


@pytest.mark.parametrize(
    ("usd", "nano"),
    [
        (0.0, 0),
        (1, NANO_PER_USD),
        (0.1, 100_000_000),
        (2.675, 2_675_000_000),  # as a binary fraction a little less
        (Decimal("0.0000000005"), 1),
        (Decimal("0.00000000049"), 0),
        (1e-12, 0),
        (-0.25, -250_000_000),
        (1e300, int(Decimal("1e309"))),
    ],
)
def test_amounts_are_rounded_half_up(usd: float | Decimal, nano: int) -> None:
    assert to_nano(usd) == nano


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), Decimal("-Infinity")])
def test_what_is_no_amount_is_refused(usd: float | Decimal) -> None:
    with pytest.raises(InputError, match="finite"):
        to_nano(usd)


@given(st.integers(-4_000_000 * NANO_PER_USD, 4_000_000 * NANO_PER_USD))
def test_an_amount_survives_being_a_float(nano: int) -> None:
    assert to_nano(to_usd(nano)) == nano


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-10.0, 10.0)
    | st.integers(-(10**16), 10**16).map(lambda tenths: tenths / (10 * NANO_PER_USD))
)
def test_a_float_counts_as_it_prints(usd: float) -> None:
    assert to_nano(usd) == to_nano(Decimal(repr(usd)))


@given(st.lists(st.decimals("0", "1000", places=2), max_size=200))
def test_sums_are_exact_to_the_cent(amounts: list[Decimal]) -> None:
    assert to_usd(sum(to_nano(float(amount)) for amount in amounts)) == float(sum(amounts))
