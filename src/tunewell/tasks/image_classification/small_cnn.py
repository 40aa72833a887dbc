"""A small convolutional network for small pictures."""

from __future__ import annotations

import torch
from torch import nn

_CHANNELS = (24, 48, 96, 128)


class SmallCnn(nn.Module):
    """Convolution, batch normalisation, ReLU and 2 x 2 maximum, four times.

    Built like the VGG networks (Simonyan, Zisserman 2015, arXiv:1409.1556) with global average pooling instead
    of their large linear layers (Lin et al. 2014, arXiv:1312.4400). 0.16 million parameters; any input size from
    16 pixels on. The methods are those of timm's models.
    """

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in _CHANNELS:
            layers += [
                nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
            in_channels = channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) → (N, 128, S/16, S/16)."""
        features: torch.Tensor = self.features(x)
        return features

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Features → (N, classes), or (N, 128) if `pre_logits`."""
        outputs = x.mean(dim=(2, 3))
        if not pre_logits:
            outputs = self.classifier(outputs)
        return outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) → logits (N, classes)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Linear:
        """Return the last layer."""
        return self.classifier
