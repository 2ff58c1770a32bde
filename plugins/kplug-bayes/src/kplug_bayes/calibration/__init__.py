"""Whether what is said to be likely happens as often."""
