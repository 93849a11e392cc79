"""Names of what `fit` writes into a run folder and other parts read from it."""

RECIPE_FILE = "config.yaml"
"""The whole recipe, with every default."""

SCORES_FILE = "scores.json"
"""The scores of the last evaluation."""

METRICS_FILE = "metrics.jsonl"
"""Everything that was logged, one line for each logged step and each validation."""

ENVIRONMENT_FILE = "environment.json"
"""Machine and versions at each start."""

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints."""

BEST = "best.ckpt"
"""The checkpoint of the best validation."""

LAST = "last.ckpt"
"""The newest checkpoint, from which a run resumes."""

PREVIOUS = "last.previous.ckpt"
"""The one before it, which is there while a new `last.ckpt` takes its name."""
