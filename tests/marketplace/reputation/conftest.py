"""A seller and buyers of toys, as the tests of sales have them."""

from tests.marketplace.sales.conftest import agent_of, buyer, maker, shop, toys  # noqa: F401
