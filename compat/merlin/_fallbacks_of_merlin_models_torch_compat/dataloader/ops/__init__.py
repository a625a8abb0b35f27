"""``merlin.dataloader.ops`` where merlin-dataloader is not installed: operators that a loader takes."""
