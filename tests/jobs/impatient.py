"""What the workers of these tests import by `--include`: the kinds of jobs, and a shorter patience with the dead."""

from latentmas.jobs import models, working
from tests.jobs import brokered

models.STALE_AFTER, working.HEARTBEAT_SECONDS = brokered.STALE_AFTER, 0.5
