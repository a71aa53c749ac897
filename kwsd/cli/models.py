"""Defines the command ``kwsd models``."""

import json
from typing import Annotated

import typer

from kwsd.errors import ModelError
from kwsd.log import print_data, print_error, print_line


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per model.")] = False,
) -> None:
    """List the installed models with their keywords. A model that cannot be used is reported on standard error."""
    from kwsd.models.bundle import read_bundle
    from kwsd.models.find import installed_models

    for name, folder in installed_models().items():
        try:
            bundle = read_bundle(folder)
        except ModelError as error:
            print_error(str(error))
            continue
        if as_json:
            row = {"name": name, "folder": str(folder), "keywords": bundle.keywords, "licence": bundle.licence}
            print_data(json.dumps(row))
        else:
            print_line(f"{name}: {' '.join(bundle.keywords)}  ({folder})")
