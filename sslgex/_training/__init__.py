"""The training loop: rows, views, objectives, the engine. Nothing here knows a method by name."""
