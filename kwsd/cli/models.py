"""``kwsd models``."""

import json as jsonlib
from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the installed models with their keywords; one that must not be used is named on standard error."""
    from kwsd.errors import ModelError
    from kwsd.log import print_error
    from kwsd.models.bundle import read_bundle
    from kwsd.models.find import installed_models

    for name, folder in installed_models().items():
        try:
            bundle = read_bundle(folder)
        except ModelError as error:
            print_error(str(error))
            continue
        if json:
            print(
                jsonlib.dumps(
                    {"name": name, "folder": str(folder), "keywords": bundle.keywords, "licence": bundle.licence}
                )
            )
        else:
            print(f"{name}: {' '.join(bundle.keywords)}  ({folder})")
