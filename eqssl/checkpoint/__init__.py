"""The one writer and reader of checkpoints."""
