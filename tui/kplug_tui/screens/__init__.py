"""The screens, a module each; every one is imported when it is first shown."""
