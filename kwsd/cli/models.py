"""``kwsd models``."""

import json as jsonlib
from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the installed models with their keywords."""
    from kwsd.bundle import read_bundle
    from kwsd.model import installed_models

    for name, folder in installed_models().items():
        bundle = read_bundle(folder)
        if json:
            print(
                jsonlib.dumps(
                    {"name": name, "folder": str(folder), "keywords": bundle.keywords, "licence": bundle.licence}
                )
            )
        else:
            print(f"{name}: {' '.join(bundle.keywords)}  ({folder})")
