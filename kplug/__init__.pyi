from kplug import catalog as catalog
from kplug import datasets as datasets
from kplug import errors as errors
from kplug import layers as layers
from kplug import losses as losses
from kplug import metrics as metrics
from kplug import models as models
from kplug import runs as runs
from kplug import saving as saving
from kplug.catalog.component import Component as Component
from kplug.catalog.discovery import components as components
from kplug.catalog.facts import component as component
from kplug.catalog.loading import get as get
from kplug.datasets.dataset import Dataset as Dataset
from kplug.errors import KplugError as KplugError
from kplug.layers.sampling import Sampling as Sampling
from kplug.losses.focal import FocalLoss as FocalLoss
from kplug.losses.focal import focal_loss as focal_loss
from kplug.models.vae import VAE as VAE
from kplug.saving import load_model as load_model

__version__: str
