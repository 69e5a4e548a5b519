"""``astropipe config``: show the settings, their JSON schema, or what is wrong with a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from astropipe.runtime.errors import UsageError

app = typer.Typer(help="Show or check settings.", no_args_is_help=True)

Files = Annotated[list[Path] | None, typer.Option("--config", "-c", help="YAML file with settings; repeatable.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="One setting: stage.verb.key=value; repeatable.")]
Part = Annotated[str, typer.Argument(help="Part of the settings, for example nbody.integrate; default: all.")]


@app.command()
def show(part: Part = "", config: Files = None, set_: Settings = None) -> None:
    """Show the resolved settings as YAML, with the meaning of every key."""
    from astropipe.config import load, section
    from astropipe.config.base import Section
    from astropipe.config.generate import commented_yaml, plain_yaml

    chosen = section(load(config or [], set_ or []), part)
    print(commented_yaml(chosen) if isinstance(chosen, Section) else plain_yaml(chosen), end="")


@app.command()
def schema(part: Part = "") -> None:
    """Print the JSON schema of the settings."""
    import json

    from astropipe.config import Config, section
    from astropipe.config.base import Section

    chosen = section(Config(), part)
    if not isinstance(chosen, Section):
        raise UsageError(
            f"{part} is a value, not a section; astropipe config schema {part.rpartition('.')[0]} holds it"
        )
    print(json.dumps(type(chosen).model_json_schema(), indent=2, ensure_ascii=False))


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="YAML files, later ones over earlier ones.")]) -> None:
    """Check files of settings; every fault is named with its key and the nearest valid one."""
    from astropipe.config import load
    from astropipe.config.jobs import check_jobs

    check_jobs(load(files))
    print(f"{' + '.join(map(str, files))}: valid")
