"""The command line. Never imports Keras."""
