"""The exceptions kplug raises for people to read: what was given, what was expected, what to do."""


class KplugError(Exception):
    """Base of every error kplug raises on purpose; its text is meant to be shown as it is."""


class UnknownComponentError(KplugError, LookupError):
    """No installed component has the given name."""


class UnavailableComponentError(KplugError, LookupError):
    """A component is installed, but its plugin is disabled, incompatible or not allowed."""


class UnknownPluginError(KplugError, LookupError):
    """No installed plugin has the given name."""


class AmbiguousNameError(KplugError, LookupError):
    """Several plugins offer a component of the given bare name."""


class BrokenComponentError(KplugError):
    """A component is installed, but importing or describing it fails."""


class ParameterError(KplugError, ValueError):
    """A hyper-parameter is unknown, missing, or has a value it cannot take."""


class IncompatibleComponentsError(KplugError, ValueError):
    """The chosen components cannot work together."""


class SpecError(KplugError, ValueError):
    """A run spec, or the file it was to be read from, is not usable."""


class RunNotFoundError(KplugError, LookupError):
    """No run has the given id, prefix of an id, or name."""


class RunStorageError(KplugError, OSError):
    """The directory that holds the runs cannot be read or written."""


class DataError(KplugError, ValueError):
    """A data set cannot be loaded, or is not what the model or loss can use."""


class SavedModelError(KplugError, ValueError):
    """A saved model cannot be read, or needs a plugin that is not installed."""


class CheckpointError(KplugError, ValueError):
    """A checkpoint is not of this run's model, optimizer or callbacks."""


class RunStateError(KplugError, ValueError):
    """A run is not in a state in which that can be done to it."""


class QueryError(KplugError, ValueError):
    """A question about runs cannot be read, or is about a field that no run has."""


class LauncherError(KplugError):
    """A plugin's launcher could not start or end a worker."""


class PluginError(KplugError, ValueError):
    """A plugin cannot be written as asked, or cannot be looked at."""
