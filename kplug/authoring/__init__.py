"""Writing plugins, and finding out whether they are fit to publish. What needs Keras runs in child processes."""
