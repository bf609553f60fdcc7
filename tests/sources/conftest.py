"""The fixtures of the tests of sources; what they share by name is in `conftest_sources`."""

from conftest_sources import own_places, server, tarball

__all__ = ["own_places", "server", "tarball"]
