"""The jobs of the workflow: their settings as command-line options, their files, their resources.

The Snakefiles ask this package instead of computing: helpers here have tests, those in a rule have none.
"""

from astropipe.config.jobs.all_stages import Jobs, check_files, check_jobs
from astropipe.config.jobs.base import CODE, relative

__all__ = ["CODE", "Jobs", "check_files", "check_jobs", "relative"]
