from __future__ import annotations

from hypothesis import settings

# The first call of a checked function is slow (its types are compiled): no deadline. The same inputs every time.
settings.register_profile("theory", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("theory")
