"""The two packaged models, loaded once a run. Their conversion is kept in the cache folder."""

import pytest
from django.conf import settings

from factory.runners.model import RunningModel, load_model
from factory.runners.weights import find_weights


@pytest.fixture(scope="session")
def smollm2() -> RunningModel:
    return load_model(find_weights("smollm2-135m", cache=settings.CACHE_DIR))


@pytest.fixture(scope="session")
def gemma3() -> RunningModel:
    return load_model(find_weights("gemma-3-270m", cache=settings.CACHE_DIR))


@pytest.fixture(params=["smollm2", "gemma3"])
def model(request: pytest.FixtureRequest) -> RunningModel:
    running: RunningModel = request.getfixturevalue(request.param)
    return running
