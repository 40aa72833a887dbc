"""How much a user may send, and how much may come out of it."""

from __future__ import annotations

from dataclasses import dataclass

_MEGA, _GIGA = 1 << 20, 1 << 30

#: Largest upload in bytes, and most uploads of a user that are kept at once.
LARGEST_UPLOAD, MOST_UPLOADS = 100 * _GIGA, 100
#: Longest name of a file in bytes; longest path in an archive.
LONGEST_NAME, LONGEST_PATH = 255, 1000
#: For how long an upload is kept after the last part of it came, in seconds.
UPLOAD_SECONDS = 24 * 3600.0
#: For how long pictures to predict are kept after they were asked for, and their job has ended, in seconds.
PICTURES_SECONDS = 3600.0
#: For how long a data set is kept in the bin, in seconds.
BIN_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may unpack to."""

    #: All files together, in bytes.
    bytes: int
    #: Files and folders.
    entries: int
    #: How often as large as the archive all files together may be, …
    ratio: int = 100
    #: … unless they are no more bytes than this.
    harmless_bytes: int = 64 * _MEGA
    #: Folders in each other.
    depth: int = 32

    def bytes_of(self, archive: int) -> int:
        """Return how many bytes an archive of so many bytes may unpack to."""
        return min(self.bytes, max(self.harmless_bytes, self.ratio * archive))


DATA = Limits(bytes=500 * _GIGA, entries=500_000)
CODE = Limits(bytes=500 * _MEGA, entries=20_000)
PICTURES = Limits(bytes=10 * _GIGA, entries=100_000)
