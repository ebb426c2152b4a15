"""How large an experiment is, beside the published one."""

from brainage.config.images import ImagesConfig
from brainage.data.images.registry import Images

FULL = "full"


def scale_of(images: Images, config: ImagesConfig) -> str:
    """``full``, or ``reduced:`` and what is smaller.

    A panel knows how many of a set's images it uses, and whether they are the originals; the epochs
    of the whole experiment are what ``published_epochs`` says.
    """
    smaller = []
    if not images.original:
        smaller.append(_images(images, config))
    published = config.published_epochs
    if published is not None and config.recipe.trainer.epochs < published:
        smaller.append(f"{config.recipe.trainer.epochs} of {published} epochs")
    return f"reduced: {', '.join(smaller)}" if smaller else FULL


def _images(images: Images, config: ImagesConfig) -> str:
    data = config.data
    if data.train_images is not None or data.test_images is not None:
        trained = images.sizes["train"] + images.sizes["validation"]
        return f"{trained:,} training and {images.sizes['test']:,} test images, {images.note}"
    return images.note
