"""The worker: from a run spec to a trained model, its records and its artifacts."""
