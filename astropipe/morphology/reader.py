"""From the features of the network and the light in rings to the embedding, the class and the truths of a galaxy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ReaderSizes:
    """Sizes of a reader.

    Attributes
    ----------
    features, profile : int
        Numbers that the network gives, and `astropipe.morphology.profiles.ring_profiles`.
    hidden, embedding : int
        Of its two hidden layers, and of the embedding.
    classes, truths : int
        What it reads.
    """

    features: int
    profile: int
    hidden: int = 256
    embedding: int = 64
    classes: int = 4
    truths: int = 8


class Reader(nn.Module):
    """A small perceptron; inputs are standardised inside.

    Parameters
    ----------
    sizes : ReaderSizes
        How large it is.
    dropout : float
        Share of the hidden numbers that are left out while it learns.
    """

    def __init__(self, sizes: ReaderSizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        for name, n in (("features", sizes.features), ("profile", sizes.profile)):
            self.register_buffer(f"{name}_mean", torch.zeros(n))
            self.register_buffer(f"{name}_std", torch.ones(n))
        self.body = nn.Sequential(
            *(nn.Linear(sizes.features + sizes.profile + 1, sizes.hidden), nn.GELU(), nn.Dropout(dropout)),
            *(nn.Linear(sizes.hidden, sizes.hidden), nn.GELU(), nn.Dropout(dropout)),
        )
        self.embed = nn.Linear(sizes.hidden, sizes.embedding)
        self.class_head = nn.Linear(sizes.embedding, sizes.classes)
        self.truth_head = nn.Linear(sizes.embedding, sizes.truths)

    def standardise_by(self, features: torch.Tensor, profile: torch.Tensor) -> None:
        """Take mean and scatter of the inputs from examples, shapes (n, features) and (m, profile)."""
        for name, values in (("features", features), ("profile", profile)):
            getattr(self, f"{name}_mean").copy_(values.mean(dim=0))
            getattr(self, f"{name}_std").copy_(values.std(dim=0) + 1e-3)

    def forward(
        self, features: torch.Tensor, profile: torch.Tensor, linear: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return embedding, logits of the classes and standardised truths.

        Parameters
        ----------
        features, profile : Tensor, shape (n, features) and (n, profile)
            Of the galaxies.
        linear : Tensor of bool, shape (n,)
            False where the profile says nothing, as in pictures that were stretched for display.
        """
        known = linear[:, None].to(features.dtype)
        seen = (features - self.features_mean) / self.features_std
        rings = torch.clamp((profile - self.profile_mean) / self.profile_std, -5.0, 5.0) * known
        embedding = self.embed(self.body(torch.cat((seen, rings, known), dim=1)))
        return embedding, self.class_head(embedding), self.truth_head(embedding)
