"""What a worker process of these tests imports by `--include`: the kind of job, and a shorter patience with the dead."""

from latentmas.jobs import models, working
from tests.jobs import brokered

models.STALE_AFTER, working.HEARTBEAT_SECONDS = brokered.STALE_AFTER, 0.5
