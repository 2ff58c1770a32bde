"""Variational autoencoder."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.sampling import Sampling
from kplug.losses import tfp_distributions
from kplug.losses.likelihoods import Likelihood
from kplug.models import priors
from kplug.models import vae_checks as checks
from kplug.models.latent_space import LatentSpace
from kplug.models.own_loss import BatchMean, OwnLoss
from kplug.models.vae_bound import EvidenceBound
from kplug.models.vae_conditions import NO_CLASSES, ClassConditions
from kplug.models.vae_networks import EncoderAndDecoder

PositiveInt = Annotated[int, Field(gt=0)]
PriorName = Literal["standard_normal", "gaussian_mixture", "vamp"]
NotNegative = Annotated[float, Field(ge=0)]

_KINGMA = "Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114"
_SOHN = (
    "Sohn et al. (2015), Learning Structured Output Representation using Deep Conditional Generative Models, NeurIPS"
)
_TOMCZAK = "Tomczak & Welling (2018), VAE with a VampPrior, https://arxiv.org/abs/1705.07120"
_BURDA = "Burda et al. (2015), Importance Weighted Autoencoders, https://arxiv.org/abs/1509.00519"


@component(
    tasks=["image-generation", "density-estimation"],
    own_loss=True,
    optimizer="adam",
    references=[_KINGMA, _SOHN, _TOMCZAK, _BURDA],
)
@keras.saving.register_keras_serializable(package="kplug")
class VAE(LatentSpace, EncoderAndDecoder, ClassConditions, EvidenceBound, OwnLoss, keras.Model):
    """Variational autoencoder: learns a small latent space from which data like the given can be drawn.

    It maximises the evidence lower bound of Kingma & Welling (2013, equation 10),

    ```
    ELBO = E_q(z|x) [log p(x|z)] - beta * KL(q(z|x) || p(z))
    ```

    summed over the elements of a sample and over the latent dimensions, averaged over the batch. The loss is -ELBO in
    nats; `reconstruction_loss` and `kl_loss` report its two terms. (Many tutorials average over pixels or latent
    dimensions instead, which silently rescales `beta`.)

    The model builds itself from the shape of the data when it first sees them: convolutional for images, dense for
    everything else. Given arrays, `fit` first reads off them how they are to be scaled (`adapt`): the networks that the
    model builds see Gaussian data standardised (by feature if samples are 1-D), counts as standardised `log(1 + x)`,
    Bernoulli data as they are, and put out values that are brought back to the data's unit. So data come in their own
    unit, and so do losses. With data from a loader or a `tf.data.Dataset`, call `adapt` on some of them before `fit`.
    Networks of your own see and put out the data's unit.

    Targets given to `fit` are ignored, so `fit(x)` and `fit(x, x)` are the same, but for a conditional model, which
    learns p(x | class) (Sohn et al. 2015) and needs the classes: `fit(x, y)`. It brings its own loss: `compile` takes
    an optimizer and no loss.

    Trained, it encodes, decodes, reconstructs and generates; walks from one sample to another (`interpolate`) and
    along an attribute (`attribute_vector`, `shift`); says whether it only copies (`nearest_training_example`); and
    estimates the likelihood of data (`evaluate_nll`).

    Args:
        latent_dim: Number of latent dimensions.
        architecture: `"convolutional"`, `"dense"`, or `"auto"`: convolutional where samples have shape
            `(height, width)` or `(height, width, channels)`.
        filters: Filters of the stride-2 convolutions of the encoder; the decoder mirrors them.
        units: Units of the dense hidden layers; by default `(16,)` after the convolutions, `(400,)` without.
        likelihood: `"bernoulli"` for data between 0 and 1; `"gaussian"` for any real data, with `scale`;
            `"categorical"` for whole numbers below `categories`; `"poisson"` for counts; `"multinomial"` for counts
            that share out a total over the last axis.
        scale: Standard deviation of the Gaussian likelihood, in the data's unit; `"learned"` trains one for all
            elements (Rybkin et al. 2021), which finds the balance of the two terms by itself. It begins at the data's
            standard deviation, of which it is a multiple: by feature if samples are 1-D.
        categories: Number of values of an element, for the categorical likelihood.
        beta: Weight of the KL term; 1 is the bound itself (beta-VAE: Higgins et al. 2017).
        annealing_steps: Training steps over which the weight rises from 0 to `beta`; 0 for no annealing.
        annealing_cycles: How often it rises within them; with more than one, over the first half of each cycle
            (Fu et al. 2019).
        free_bits: Nats per latent dimension that cost nothing (Kingma et al. 2016), for the standard normal prior. They
            and `beta` count in the validation loss too, annealing does not: compare by `evaluate_nll`.
        conditional: Whether encoder and decoder are told the class of each sample, which `fit` then takes as `y`.
        num_classes: Number of classes; by default as many as `fit` sees in `y`.
        prior: `"standard_normal"`; `"gaussian_mixture"` or `"vamp"` (the posteriors of made-up samples, Tomczak &
            Welling 2018; of a conditional model, of no class), which are trained; or a `tfd` distribution over latent
            vectors. For all but the first the KL term is estimated by the draw that is decoded.
        prior_components: Number of Gaussians in a trained prior.
        importance_samples: Draws per sample; with more than one the loss is the tighter importance-weighted bound
            (Burda et al. 2015), in training and in `evaluate`; a bound on the likelihood only at `beta=1`.
        encoder: A model of your own from samples to `[mean, log_var]`, or to features on which the VAE then puts
            the two heads (with the class beside the features, if it is conditional; `[mean, log_var]` are taken as
            they are).
        decoder: A model of your own from latent vectors of shape `(batch_size, latent_dim)` (of a conditional model:
            with the one-hot class behind, `latent_dim + num_classes`) to what the likelihood takes for samples of that
            shape: logits (Bernoulli, multinomial, and categorical on one more axis), means, or log rates.
        seed: Whole number that makes the latent draws repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Data of shape `(batch_size, ...)`; or a pair of them and class numbers of shape `(batch_size,)`. A
            conditional model that is called with the data alone tells encoder and decoder of no class (zeros).

    Returns:
        When called: a dictionary with `reconstruction` (logits, means or log rates, of the data's shape), `mean` and
        `log_var` (each of shape `(batch_size, latent_dim)`), and the draw `z`. With several importance samples
        `reconstruction` and `z` have them as axis 1.

    Raises:
        ValueError: If a parameter is out of range, data do not suit the likelihood, a loss is given to `compile`, or
            an own encoder or decoder has outputs of the wrong shape.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
        Higgins et al. (2017), beta-VAE, https://openreview.net/forum?id=Sy2fzU9gl
        Sohn et al. (2015), Learning Structured Output Representation using Deep Conditional Generative Models, NeurIPS
        Burda et al. (2015), Importance Weighted Autoencoders, https://arxiv.org/abs/1509.00519
        Tomczak & Welling (2018), VAE with a VampPrior, https://arxiv.org/abs/1705.07120
        Rybkin et al. (2021), Simple and Effective VAE Training with Calibrated Decoders,
        https://arxiv.org/abs/2006.13202

    Example:

    ```python
    vae = kplug.VAE(latent_dim=2)
    vae.compile("adam")
    vae.fit(x, epochs=10, batch_size=128)
    images = vae.generate(16)
    vae.save("vae.keras")
    ```
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 2,
        architecture: Literal["auto", "convolutional", "dense"] = "auto",
        filters: Sequence[PositiveInt] = (32, 64),
        units: Sequence[PositiveInt] | None = None,
        likelihood: Likelihood = "bernoulli",
        scale: Annotated[float, Field(gt=0)] | Literal["learned"] = 1.0,
        categories: Annotated[int, Field(ge=2)] | None = None,
        beta: NotNegative = 1.0,
        annealing_steps: Annotated[int, Field(ge=0)] = 0,
        annealing_cycles: PositiveInt = 1,
        free_bits: NotNegative = 0.0,
        conditional: bool = False,
        num_classes: PositiveInt | None = None,
        prior: Literal["standard_normal", "gaussian_mixture", "vamp"]
        | tfp_distributions.Distribution = "standard_normal",
        prior_components: PositiveInt = 32,
        importance_samples: PositiveInt = 1,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.latent_dim: int = latent_dim
        self.architecture = architecture
        self.filters = filters
        self.units = units
        self.likelihood = likelihood
        self.scale = scale
        self.categories = categories
        self.beta = beta
        self.annealing_steps = annealing_steps
        self.annealing_cycles = annealing_cycles
        self.free_bits = free_bits
        self.conditional = conditional
        self.num_classes = num_classes
        self.prior = prior
        self.prior_components = prior_components
        self.importance_samples = importance_samples
        self.encoder: Any = encoder
        self.decoder: Any = decoder
        self.seed = seed
        self._own_encoder = encoder is not None
        self._own_decoder = decoder is not None
        self.mean_head: Any = None
        self.log_var_head: Any = None
        self.latent_prior: Any = None
        self.log_scale: Any = None
        self.scaling: Any = None
        self.step: Any = None
        # Half precision cannot hold data in any unit: they are cast when they have been scaled.
        self.autocast = False
        checks.check_settings(self)
        self.latent_dim = int(latent_dim)
        self.filters = tuple(map(int, filters))
        self.units = None if units is None else tuple(map(int, units))
        self.seed = None if seed is None else int(seed)
        draws = None if importance_samples == 1 else importance_samples
        # Never in half precision: densities are taken of the draw, and the decoder casts it by itself.
        self._precise_dtype = "float64" if self.compute_dtype == "float64" else "float32"
        self.sampling = Sampling(draws, seed=self.seed, dtype=self._precise_dtype, name="sampling")
        self._mean = BatchMean(dtype=self._precise_dtype)
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")

    def build(self, input_shape: Any) -> None:
        if input_shape and isinstance(input_shape[0], (list, tuple)):
            input_shape = input_shape[0]
        shape = tuple(input_shape[1:])
        if not shape or None in shape:
            raise ValueError(f"VAE needs samples of one known shape, at least 1-D. Received: input_shape={input_shape}")
        if self.conditional and self.num_classes is None:
            raise ValueError(
                "With `conditional=True` the VAE must know how many classes there are: set num_classes, or fit it on "
                "arrays, `fit(x, y)`."
            )
        self._build_networks(shape)
        self.latent_prior = self._built_prior(shape)
        if self.scale == "learned":
            self.log_scale = self.add_weight(shape=(), initializer="zeros", autocast=False, name="log_scale")
        if self.annealing_steps:
            self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="step")
        self._shape = shape
        self.built = True

    def _built_prior(self, shape: tuple[int, ...]) -> Any:
        if self.prior == "standard_normal":
            return priors.StandardNormal(self.latent_dim)
        if self.prior == "gaussian_mixture":
            return priors.GaussianMixture(self.latent_dim, self.prior_components, self.seed)
        if self.prior == "vamp":
            return priors.VampPrior(shape, self.prior_components, self._encoded, self.seed)
        return priors.DistributionPrior(self.prior, self.latent_dim)

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        x, labels = self._split(inputs)
        conditions = self._conditions(labels, ops.shape(x)[0])
        mean, log_var = self._posterior(x, conditions, training)
        z = self.sampling([mean, log_var])
        reconstruction = self._decoded(z, conditions, training)
        return {"reconstruction": reconstruction, "mean": mean, "log_var": log_var, "z": z}

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model as `keras.Model.fit` does; targets are ignored, but for a conditional model's classes.

        Raises:
            ValueError: If `x` is an array without samples, or with values that the likelihood cannot have, or a class
                is none.
        """
        x, y = _as_array(x), _as_array(y)
        options = self.named_arguments(keras.Model.fit, x, y, args, kwargs)
        validation = options.get("validation_data")
        if isinstance(x, np.ndarray):
            self.check_data(x, y)
            self.adapt(x[: math.floor(len(x) * (1 - (options.get("validation_split") or 0)))])
        elif self.prior == "vamp" and not (self.built and self.latent_prior.has_begun):
            warnings.warn(
                "The VampPrior's made-up samples begin as noise, since `fit` was not given an array. Call `adapt` with "
                f"some {self.prior_components} samples first.",
                stacklevel=2,
            )
        if isinstance(validation, tuple) and isinstance(validation[0], np.ndarray):
            self.check_data(*validation[:2])
        return super().fit(**options)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the losses as `keras.Model.evaluate` does; targets are ignored, but for the classes of a condition."""
        x, y = _as_array(x), _as_array(y)
        if isinstance(x, np.ndarray):
            self.check_data(x, y)
        return super().evaluate(**self.named_arguments(keras.Model.evaluate, x, y, args, kwargs))

    def predict(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return what the model puts out, as `keras.Model.predict` does; a conditional one takes `[x, y]`."""
        if self.conditional and isinstance(_as_array(x), np.ndarray):
            raise ValueError(NO_CLASSES)
        return super().predict(x, *args, **kwargs)

    def check_data(self, x: Any, y: Any = None) -> None:
        """Refuse data that cannot be trained on, and labels that are no classes; only NumPy arrays are looked at.

        A conditional model that was not told the number of classes learns it here.

        Raises:
            ValueError: If there are no samples, they are of another shape than the model was built for, or hold NaN,
                infinity, or values that the likelihood cannot have; or if the model is conditional, and a label is no
                class.
        """
        checks.check_samples(x, self._shape if self.built else None)
        checks.check_values(x, self.likelihood, self.categories)
        if not self.conditional:
            return
        if self.num_classes is None and isinstance(y, np.ndarray):
            self.num_classes = checks.classes_in(y)
        if self.num_classes is not None or y is None:
            checks.check_labels(y, int(self.num_classes or 0))

    def adapt(self, x: Any) -> None:
        """Look at the training data before training; `fit` does so itself when given an array.

        The networks that the model builds learn the data's unit, and a VampPrior's made-up samples begin at some of the
        data. Both happen once: a model that has looked, or been trained, keeps its unit.

        Args:
            x: Samples of shape `(n, ...)`.
        """
        if len(x) == 0:
            return
        if not self.built:
            self.build((None, *x.shape[1:]))
        self.scaling.adapt(x)
        if self.prior == "vamp":
            self.latent_prior.adapt(x, self._seen_by_encoder)

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures: reconstructions, samples, a walk through the latent space, and where its classes lie.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug.models.vae_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        own_prior = not isinstance(self.prior, str)
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "architecture": self.architecture,
            "filters": list(self.filters),
            "units": None if self.units is None else list(self.units),
            "likelihood": self.likelihood,
            "scale": self.scale,
            "categories": self.categories,
            "beta": self.beta,
            "annealing_steps": self.annealing_steps,
            "annealing_cycles": self.annealing_cycles,
            "free_bits": self.free_bits,
            "conditional": self.conditional,
            "num_classes": self.num_classes,
            "prior": tfp_distributions.to_config(self.prior) if own_prior else self.prior,
            "prior_components": self.prior_components,
            "importance_samples": self.importance_samples,
            "encoder": serialize(self.encoder) if self._own_encoder else None,
            "decoder": serialize(self.decoder) if self._own_decoder else None,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> VAE:
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("encoder", "decoder")
            if config.get(name) is not None
        }
        if isinstance(config.get("prior"), dict):
            parts["prior"] = tfp_distributions.from_config(config["prior"])
        return cls(**{**config, **parts})


def _as_array(values: Any) -> Any:
    """Return a tensor as a NumPy array; anything else stays."""
    return ops.convert_to_numpy(values) if keras.ops.is_tensor(values) else values
