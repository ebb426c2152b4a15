"""``brainage benchmark images``: training methods side by side on an image-classification set."""
