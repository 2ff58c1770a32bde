"""Anomalies by Bayes' theorem: a normal component against a wide one."""
