"""``merlin.dataloader`` where merlin-dataloader is not installed."""
