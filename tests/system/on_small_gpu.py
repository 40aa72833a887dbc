"""Whoever imports this has a small GPU: a fork server does, and hands it on to its trials; the tests must not."""

from tests.system.small_gpu import install
from tunewell.tasks.image_classification import train as classification
from tunewell.tasks.object_detection import train as detection

install(classification)
install(detection)
