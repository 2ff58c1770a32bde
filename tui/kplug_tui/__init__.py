"""The terminal application. It talks to workers by starting them and reading their run directories; never to Keras."""
