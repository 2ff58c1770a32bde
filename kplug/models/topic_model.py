"""Neural topic models: ProdLDA, its mixture form, and topics in an embedding space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.logistic_normal import dirichlet_laplace
from kplug.layers.sampling import Sampling
from kplug.layers.seeded import derived_seeds
from kplug.models.batch_normalization import LenientBatchNormalization
from kplug.models.own_loss import BatchMean, OwnLoss
from kplug.models.topic_documents import TopicDocuments
from kplug.models.topic_quality import Perplexity, TopicQuality
from kplug.models.topic_seeds import as_embeddings, topic_seeds
from kplug.models.topic_use import TopicUse
from kplug.models.vae_checks import check, check_choice, check_count, check_layer_sizes, check_number

PositiveInt = Annotated[int, Field(gt=0)]

_SRIVASTAVA = (
    "Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models, https://arxiv.org/abs/1703.01488"
)
_DIENG = "Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907"
_SIEVERT = "Sievert & Shirley (2014), LDAvis, https://aclanthology.org/W14-3110"
_MOMENTUM = 0.9


@component(
    tasks=["topic-modeling"],
    own_loss=True,
    optimizer="adam",
    references=[_SRIVASTAVA, _DIENG],
)
@keras.saving.register_keras_serializable(package="kplug")
class NeuralTopicModel(TopicUse, TopicDocuments, OwnLoss, keras.Model):
    """Topic model trained as a variational autoencoder of word counts.

    A document's mixture of topics is the softmax of a Gaussian, whose mean and variance an encoder reads from the
    counts (Srivastava & Sutton 2017); its prior approximates a Dirichlet distribution. The loss is -ELBO in nats per
    document: the multinomial cross-entropy of the words, without the constant of their order, plus the KL divergence.
    How a mixture becomes word probabilities is the `decoder`:

    - `"mixture"`: the mean of the topics' word distributions, as in latent Dirichlet allocation. Topics are
      distributions over words. The default: it finds the topics that there are.
    - `"product"`: ProdLDA, a product of experts: the topics' scores are added before the softmax, after batch
      normalisation. Its topics are scores, often coherent and never very common words.
    - `"embedded"`: a mixture whose topics and words are vectors in one space (Dieng et al. 2020): fewer weights for
      large vocabularies, and words that occur together are near to each other (`word_embeddings`).

    Topic models that begin at random often end with some topics twice and others not at all. This one begins at the
    centres of a k-means clustering of the documents (`adapt`, which `fit` calls on arrays), and does not collapse.

    The logs have `perplexity`, the bound per word, and with arrays to fit on, each epoch's `coherence` (NPMI of the top
    words in the training documents) and `diversity`.

    Use it to see what many short texts are about. For a few hundred documents plain LDA is as good.

    Args:
        vocabulary_size: Number of words; by default that of `vocabulary`, or of the first data.
        num_topics: Number of topics, at least 2.
        decoder: `"mixture"`, `"product"` or `"embedded"`.
        vocabulary: The words, in the order of the counts' columns; built from the texts if `fit` is given texts.
        units: Units of the encoder's hidden layers.
        dropout: Share of the last hidden layer that is dropped in training.
        concentration: Concentration of the Dirichlet prior on mixtures; below 1 documents have few topics.
        embedding_dim: Length of the vectors of the embedded decoder, at least `num_topics`.
        initialization: `"kmeans"`, or `"random"` for the papers' own.
        seed: Whole number that makes the initial weights, the draws and the clustering repeat, or `None`. (The order of
            the documents in `fit` follows `keras.utils.set_random_seed`.)
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Word counts of shape `(batch_size, vocabulary_size)`.

    Returns:
        When called: a dictionary with `mean` and `log_var` of the mixtures' Gaussian, a `mixture` drawn from it, each
        of shape `(batch_size, num_topics)`, and the `log_probabilities` that it gives the words, of shape
        `(batch_size, vocabulary_size)`.

    Raises:
        ValueError: If a parameter is out of range, or data are no counts of as many words.

    References:
        - Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models,
          https://arxiv.org/abs/1703.01488
        - Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907

    Example:

    ```python
    model = kplug.NeuralTopicModel(num_topics=20)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(texts, epochs=60, batch_size=200)  # or word counts, dense or sparse
    for words in model.topics(8):
        print(" ".join(words))
    mixtures = model.transform(["a new document"])
    ```
    """

    def __init__(
        self,
        vocabulary_size: PositiveInt | None = None,
        num_topics: Annotated[int, Field(ge=2)] = 10,
        decoder: Literal["mixture", "product", "embedded"] = "mixture",
        vocabulary: Sequence[str] | None = None,
        units: Sequence[PositiveInt] = (100, 100),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        concentration: Annotated[float, Field(gt=0)] = 0.1,
        embedding_dim: PositiveInt = 100,
        initialization: Literal["kmeans", "random"] = "kmeans",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Counts may be too large for half precision; the layers cast what they work on.
        super().__init__(**{"autocast": False, **kwargs})
        check_count("num_topics", num_topics, least=2)
        check_choice("decoder", decoder, ("mixture", "product", "embedded"))
        check_choice("initialization", initialization, ("kmeans", "random"))
        check_layer_sizes("units", units)
        check_number("dropout", dropout)
        check(dropout < 1, "`dropout` must be less than 1", dropout=dropout)
        check_number("concentration", concentration, positive=True)
        check_count("embedding_dim", embedding_dim)
        check(
            decoder != "embedded" or embedding_dim >= num_topics,
            f"`embedding_dim` must be at least num_topics={num_topics}",
            embedding_dim=embedding_dim,
        )
        if vocabulary is not None and vocabulary_size not in {None, len(vocabulary)}:
            raise ValueError(
                f"`vocabulary` has {len(vocabulary)} words. Received: vocabulary_size={vocabulary_size}. Leave one out."
            )
        twice = [word for word, count in Counter(vocabulary or ()).items() if count > 1]
        check(not twice, "`vocabulary` must have every word once", twice=twice[:5])
        self.vocabulary = None if vocabulary is None else tuple(vocabulary)
        self.vocabulary_size: Any = vocabulary_size if vocabulary is None else len(vocabulary)
        self.num_topics: int = int(num_topics)
        self.decoder = decoder
        self.units = tuple(map(int, units))
        self.dropout = dropout
        self.concentration = concentration
        self.embedding_dim: int = int(embedding_dim)
        self.initialization = initialization
        self.seed = None if seed is None else int(seed)
        policy = self.dtype_policy
        seeds = iter(derived_seeds(self.seed, len(self.units) + 6))

        def dense(units: int, activation: str | None = None, **options: Any) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed=next(seeds))
            return keras.layers.Dense(units, activation, kernel_initializer=initializer, dtype=policy, **options)

        self.hidden = [dense(count, "softplus") for count in self.units]
        self.dropping = keras.layers.Dropout(dropout, seed=next(seeds), dtype=policy)
        self.heads = [dense(self.num_topics, name=name) for name in ("mean", "log_var")]
        # Without a scale of its own: what keeps posteriors from falling onto the prior.
        self.normalizations = [
            _normalization(center=True, dtype=policy, name=f"{name}_norm") for name in ("mean", "log_var")
        ]
        self.word_normalization = _normalization(center=False, dtype="float32", name="word_norm")
        self.sampling = Sampling(seed=next(seeds), dtype="float32")
        self._decoder_seeds = [next(seeds), next(seeds)]
        self.prior_mean, self.prior_log_var = (
            np.asarray(part, dtype="float32") for part in dirichlet_laplace(concentration, num_topics)
        )
        self.trackers = [keras.metrics.Mean(name="reconstruction_loss"), keras.metrics.Mean(name="kl_loss")]
        self._mean = BatchMean()
        self.perplexity_tracker = Perplexity(name="perplexity")
        self.quality = TopicQuality()

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        if len(input_shape) != 2 or size is None or size != (self.vocabulary_size or size):
            raise ValueError(
                "NeuralTopicModel needs word counts of shape "
                f"(batch_size, {self.vocabulary_size or 'vocabulary_size'}). Received: input_shape={tuple(input_shape)}"
            )
        self.vocabulary_size = size
        width = size
        for layer, count in zip(self.hidden, self.units, strict=True):
            layer.build((None, width))
            width = count
        for part in (*self.heads, *self.normalizations):
            part.build((None, width if part in self.heads else self.num_topics))
        if self.decoder == "embedded":
            shapes = {
                "topic_embeddings": (self.num_topics, self.embedding_dim),
                "word_embeddings": (size, self.embedding_dim),
            }
        else:
            shapes = {"topic_scores": (self.num_topics, size)}
        for (name, shape), seed in zip(shapes.items(), self._decoder_seeds, strict=False):
            initializer = keras.initializers.GlorotUniform(seed=seed)
            setattr(self, name, self.add_weight(shape=shape, initializer=initializer, autocast=False, name=name))
        if self.decoder == "product":
            self.word_normalization.build((None, size))
        # Whether the topics have begun at clusters of documents, which is saved with them.
        self.adapted = self.add_weight(shape=(), dtype="bool", initializer="zeros", trainable=False, name="adapted")
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        counts = ops.cast(inputs, "float32")
        mean, log_var = self._posterior(counts, training)
        mixture = ops.softmax(self.sampling([mean, log_var]), axis=-1)
        return {
            "log_probabilities": self._decoded(mixture, training),
            "mean": mean,
            "log_var": log_var,
            "mixture": mixture,
        }

    def _posterior(self, counts: Any, training: bool | None = None) -> tuple[Any, Any]:
        # Shares of the document, of the size that counts in a document with every word once would have.
        hidden = counts * (self.vocabulary_size**0.5 / ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1.0))
        for layer in self.hidden:
            hidden = layer(hidden)
        hidden = self.dropping(hidden, training=training)
        mean, log_var = (
            ops.cast(norm(head(hidden), training=training), "float32")
            for head, norm in zip(self.heads, self.normalizations, strict=True)
        )
        return mean, log_var

    def _decoded(self, mixture: Any, training: bool | None = None) -> Any:
        """Return log probabilities of the words for mixtures of topics."""
        if self.decoder == "product":
            scores = ops.matmul(mixture, ops.convert_to_tensor(self.topic_scores))
            return ops.log_softmax(self.word_normalization(scores, training=training), axis=-1)
        return ops.log(ops.matmul(mixture, ops.softmax(self._scores(), axis=-1)) + 1e-10)

    def _scores(self) -> Any:
        """Return the topics' scores of words, of shape `(num_topics, vocabulary_size)`."""
        if self.decoder == "embedded":
            return ops.matmul(
                ops.convert_to_tensor(self.topic_embeddings), ops.transpose(ops.convert_to_tensor(self.word_embeddings))
            )
        return ops.convert_to_tensor(self.topic_scores)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y, training
        counts = ops.cast(x, "float32")
        reconstruction = -ops.sum(counts * y_pred["log_probabilities"], axis=-1)
        prior_mean, prior_log_var = map(ops.convert_to_tensor, (self.prior_mean, self.prior_log_var))
        ratio = y_pred["log_var"] - prior_log_var
        distance = ops.square(y_pred["mean"] - prior_mean) * ops.exp(-prior_log_var)
        kl = 0.5 * ops.sum(ops.expm1(ratio) - ratio + distance, axis=-1)
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        for tracker, term in zip(self.trackers, (reconstruction, kl), strict=True):
            tracker.update_state(term, sample_weight=sample_weight)
        self.perplexity_tracker.update_state(counts, reconstruction + kl, sample_weight)
        return self._mean.of(reconstruction + kl, sample_weight)

    def adapt(self, x: Any) -> None:
        """Look at the training documents before training: begin at k-means topics, and keep them for `coherence`.

        A model that has begun, or been trained, keeps its topics.

        Args:
            x: Word counts of shape `(n, vocabulary_size)`, NumPy or scipy sparse.

        Raises:
            ValueError: If they are no counts.
        """
        self.check_data(x)
        begins = self.initialization == "kmeans" and not self._has_begun()
        scores = topic_seeds(x, self.num_topics, self.seed) if begins else None
        if not self.built:
            self.build((None, x.shape[1]))
        self.quality.documents = x
        if scores is None:
            return
        if self.decoder == "embedded":
            topics, words = as_embeddings(scores, self.embedding_dim, self.seed)
            self.topic_embeddings.assign(topics)
            self.word_embeddings.assign(words)
        else:
            self.topic_scores.assign(scores)
        self.adapted.assign(True)

    def _has_begun(self) -> bool:
        optimizer = getattr(self, "optimizer", None)
        trained = optimizer is not None and int(ops.convert_to_numpy(optimizer.iterations)) > 0
        return trained or (self.built and bool(ops.convert_to_numpy(self.adapted)))

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave `topics.csv`, `topics.png` and `topic_sizes.png`.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset`; its vocabulary names the words if the model has none.
        """
        from kplug.models.topic_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "num_topics": self.num_topics,
            "decoder": self.decoder,
            "vocabulary": None if self.vocabulary is None else list(self.vocabulary),
            "units": list(self.units),
            "dropout": self.dropout,
            "concentration": self.concentration,
            "embedding_dim": self.embedding_dim,
            "initialization": self.initialization,
            "seed": self.seed,
        }


def _normalization(center: bool, dtype: Any, name: str) -> LenientBatchNormalization:
    return LenientBatchNormalization(center=center, scale=False, momentum=_MOMENTUM, dtype=dtype, name=name)
