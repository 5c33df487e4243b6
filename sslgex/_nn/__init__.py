"""Torch modules and losses. Nothing here knows scikit-learn, skorch or where the data lives."""
