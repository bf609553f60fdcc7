"""The fixtures of the tests of sources; what else they share is in `sources_fixtures`."""

from sources_fixtures import own_places, server, tarball

__all__ = ["own_places", "server", "tarball"]
