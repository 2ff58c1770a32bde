"""Write handwritten digits as four codes each, learn how the codes go together, and draw new digits as text."""

import sys

import numpy as np

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 60

digits = kplug.datasets.digits()
x, _ = digits.train
x_test, _ = digits.test

model = kplug.VQVAE(num_embeddings=64, prior_units=64, seed=0)
model.compile("adam")
model.fit(x, epochs=epochs, batch_size=128, verbose=2)
codes = model.encode(x_test)
print(f"the codes of a digit: {codes[0].tolist()}; {len(np.unique(codes))} of {model.num_embeddings} are in use")
print(f"test reconstruction error: {np.mean((model.reconstruct(x_test) - x_test) ** 2):.4f}")

model.fit_prior(x, epochs=max(1, epochs // 2), verbose=0)
print(f"test log-likelihood: at least {model.log_likelihood(x_test).mean():.2f} nats")

model.save("vqvae.keras")
loaded = kplug.load_model("vqvae.keras")
for image in loaded.generate(3, seed=0)[..., 0]:
    print()
    for row in image:
        print("".join(" .:-=+*#"[min(7, int(value * 8))] * 2 for value in row))
