"""What every network of a task over pictures is declared with."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.tasks.contract import Network
from tunewell.tasks.vision.memory_ranges import Needs
from tunewell.tasks.vision.weights import Pretrained

#: A number for each of red, green and blue.
Channels = tuple[float, float, float]

#: Mean and standard deviation of the pictures of ImageNet, and of networks that want pixels from -1 to 1.
IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES: tuple[Channels, Channels] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network with what it takes to feed it and to start it; each task adds how it is built."""

    network: Network
    needs: Needs
    #: Mean and standard deviation per channel that its input is normalised with, pixels from 0 to 1.
    statistics: tuple[Channels, Channels]
    pretrained: Pretrained
    #: Steps that a training takes at least, however few the pictures; see `length`.
    least_steps: int

    @property
    def mean(self) -> Channels:
        """Mean per channel."""
        return self.statistics[0]

    @property
    def std(self) -> Channels:
        """Standard deviation per channel."""
        return self.statistics[1]
