import math
from dataclasses import replace

import msgspec
import pytest

from latentmas.protocol.canonical import canonical, plain
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.forecast import Forecast
from latentmas.protocol.quality import TokenMode

FORECAST = Forecast(
    mode=TokenMode.TOKENS_KNOWN,
    signs=("distance", "length"),
    mean=(1.0, 5.0),
    scale=(0.5, 2.0),
    coefficients=(0.7, -0.2, 0.1),
    covariance=((0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.3)),
    spread=0.1,
    quantile=2.0,
    memories=20,
)


def test_it_is_linear_in_the_standardised_signs() -> None:
    found = FORECAST.of({"distance": 1.5, "length": 9.0, "another": 3.0})
    assert found.value == pytest.approx(0.7 - 0.2 + 0.2)
    reach = 2.0 * 0.1 * math.sqrt(1 + 0.1 + 0.2 + 0.3 * 4)
    assert (found.low, found.high) == pytest.approx((0.7 - reach, 0.7 + reach))


def test_far_from_what_was_fitted_the_interval_is_wide() -> None:
    near, far = FORECAST.of({"distance": 1.0, "length": 5.0}), FORECAST.of({"distance": 30.0, "length": 5.0})
    assert far.high - far.low > 5 * (near.high - near.low)


def test_it_comes_back_from_canonical_json() -> None:
    again = msgspec.convert(msgspec.json.decode(canonical(plain(FORECAST))), Forecast, strict=False)
    assert again == FORECAST


@pytest.mark.parametrize(
    "broken",
    [{"mean": (1.0,)}, {"scale": (0.5, 0.0)}, {"covariance": ((1.0,),)}, {"coefficients": (0.7, math.nan, 0.1)}],
)
def test_parts_that_do_not_fit_are_refused(broken) -> None:
    with pytest.raises(InvalidInput, match="forecast of 2 signs"):
        replace(FORECAST, **broken)
