"""``brainage benchmark``: time and memory of what the other commands do."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import Scans, StepChanges, StepsFile
from brainage.terminal import (
    AsJson,
    Verbose,
    finish,
    given_or_saved,
    reporting,
    resumable_by,
    tell,
)

benchmark = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Measure time and memory.",
)


@benchmark.command()
def speed(
    config: Annotated[
        Path,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Network, sizes and methods: tried as given, then under configs/.",
        ),
    ] = Path("speed/single.yaml"),
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key, e.g. batch_size=1; repeatable."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows to this JSON file too.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Compare step time and memory of LFNN-l with back-propagation.

    All methods train the same network on the same noise in one run. Inside the clock: forward,
    losses, backward and update. Memory is the highest during steps above the network at rest.

    \b
    Example:
      brainage benchmark speed --config speed/single.yaml --set blocks.num_blocks=2
    """
    with reporting(as_json, verbose) as stream:
        from brainage.config.speed import load_speed_config

        settings = load_speed_config(config, overrides or ())
        from brainage.workflows.benchmark.speed import benchmark_speed

        return finish(benchmark_speed(settings, out=out, report=tell), as_json, stream)


@benchmark.command(name="preprocess")
def preprocess_speed(
    source: Scans,
    config: StepsFile = Path("preprocess/mni2mm.yaml"),
    overrides: StepChanges = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Scans, evenly chosen.")] = 10,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Repetitions of both.")] = 1,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Time the preprocessing of raw scans: each step, scans per minute, memory.

    One process and two take the same scans in turn, one thread each; nothing is written.

    \b
    Example:
      brainage benchmark preprocess scans/ --config preprocess/mni2mm.yaml --rounds 3
    """
    with reporting(as_json, verbose) as stream:
        from brainage.config.preprocess import load_preprocess_config

        settings = load_preprocess_config(config, overrides or ())
        from brainage.workflows.benchmark.preprocess import benchmark_preprocess

        result = benchmark_preprocess(source, settings, limit=limit, rounds=rounds, report=tell)
        return finish(result, as_json, stream)


@benchmark.command(name="images")
def images_panel(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Images, network and methods: tried as given, then under configs/. "
            "images/mnist_mlp.yaml unless given; with --resume the one saved with the panel.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one key, e.g. recipe.trainer.epochs=3; repeatable.",
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder in which the panel gets its own folder.")
    ] = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the panel in this folder.")
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Fits at the same time.")] = 1,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Compare training methods on an image-classification set.

    All methods share one recipe, the same images in every part and the same seeds; test images are
    looked at when training is over. The table has means and standard deviations over seeds.

    \b
    Example:
      brainage benchmark images --config images/mnist_mlp.yaml --jobs 2
      brainage benchmark images --config images/mnist_mlp.yaml --set recipe.trainer.epochs=3
      brainage benchmark images --resume runs/mnist-mlp
    """
    source = given_or_saved(config, resume) or Path("images/mnist_mlp.yaml")
    command = ["brainage", "benchmark", "images", "--resume"]
    with reporting(as_json, verbose) as stream:
        from brainage.config.images import load_images_config

        settings = load_images_config(source, overrides or ())
        with resumable_by(command, str(resume) if resume else None):
            from brainage.workflows.images.run import benchmark_images

            result = benchmark_images(settings, runs_folder=runs, resume=resume, jobs=jobs)
            return finish(result, as_json, stream)


@benchmark.command(name="predict")
def predict_speed(
    source: Scans,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="As for brainage predict; else the demonstration's."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=2, help="Scans, evenly chosen.")] = 10,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=2, help="Number of jobs that is compared with one.")
    ] = 2,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Repetitions of both.")] = 1,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="For the networks: auto, cpu, cuda.")
    ] = "auto",
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Time predictions from raw scan to age, with one job and with several, and the network alone.

    Nothing is written.

    \b
    Example:
      brainage benchmark predict scans/ --model runs/lfnn3d/model --limit 12 --rounds 3
    """
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.benchmark.predict import benchmark_predict

        result = benchmark_predict(
            source, model=model, limit=limit, jobs=jobs, rounds=rounds, device=device, report=tell
        )
        return finish(result, as_json, stream)
