"""Train a variational autoencoder on handwritten digits, save it, load it, and draw new digits as text."""

import sys

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 30

digits = kplug.datasets.digits()
x, _ = digits.train

vae = kplug.VAE(latent_dim=2, seed=0)
vae.compile("adam")
vae.fit(x, epochs=epochs, batch_size=128, verbose=2)
test_loss = vae.evaluate(digits.test[0], return_dict=True, verbose=0)["loss"]
print(f"test -ELBO: {test_loss:.2f} nats")

vae.save("vae.keras")
loaded = kplug.load_model("vae.keras")
for image in loaded.generate(3, seed=0)[..., 0]:
    print()
    for row in image:
        print("".join(" .:-=+*#"[min(7, int(value * 8))] * 2 for value in row))
