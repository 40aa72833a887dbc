"""Settings for all tests."""

import os

from hypothesis import settings

# The same commit gets the same verdict: examples are drawn anew only by those who look for new ones, with
# HYPOTHESIS_PROFILE=explore.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
