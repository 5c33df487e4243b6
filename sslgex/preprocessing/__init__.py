"""Steps from a matrix of expression values to what an encoder takes, learned in `fit` only."""

__all__: list[str] = []
